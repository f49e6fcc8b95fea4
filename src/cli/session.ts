import { closeSync, openSync, readSync } from 'node:fs';
import { type ErrorCode, PageTableError } from '../bits/index.ts';
import type { Cpu, Machine } from '../machine/index.ts';
import {
  assumedText,
  parseHex,
  parseSize,
  type Session,
  sessionText,
  type TableOptions,
} from '../session/index.ts';
import { type OpenOptions, parseRegisters, withRegisters } from '../source/index.ts';
import { openFile } from '../source/node/index.ts';
import type { Output } from './output.ts';

/** What every verb takes: which file, and which page tables in it. */
export interface SourceOptions extends TableOptions {
  readonly raw?: true;
  readonly base?: string;
  readonly maxUnpacked?: string;
  readonly registers?: string;
}

/** How a source is opened. */
export function openOptions(options: SourceOptions): OpenOptions {
  const base = options.base === undefined ? {} : { base: parseHex('--base', options.base) };
  const limit =
    options.maxUnpacked === undefined
      ? {}
      : // Sizes are below 2^53 in any memory.
        { maxUnpackedBytes: Number(parseSize('--max-unpacked', options.maxUnpacked)) };
  return { ...(options.raw ? { format: 'raw' as const } : {}), ...base, ...limit };
}

/** Opens the source of a command; an error names it. */
export async function openSource(path: string, options: SourceOptions): Promise<Machine> {
  const how = openOptions(options);
  const registers = options.registers === undefined ? undefined : readRegisters(options.registers);
  try {
    const machine = await openFile(path, how);
    return registers === undefined ? machine : withRegisters(machine, registers.cpus);
  } catch (error) {
    if (!(error instanceof PageTableError)) throw error;
    const hint = HINTS[error.code] ?? '';
    throw new PageTableError(error.code, `${path}: ${error.message}${hint}`, error.detail, { cause: error });
  }
}

/** Bytes that a file of registers has at most; a longer one is refused by its length. */
const MAX_REGISTER_BYTES = 2 ** 25;

/** A text file, as far as it is read: it may be a device without an end. */
function readStart(path: string): string {
  const file = openSync(path, 'r');
  try {
    const chunks: Buffer[] = [];
    for (let total = 0; total <= MAX_REGISTER_BYTES; ) {
      const chunk = Buffer.alloc(2 ** 16);
      const count = readSync(file, chunk);
      if (count === 0) break;
      chunks.push(chunk.subarray(0, count));
      total += count;
    }
    return Buffer.concat(chunks).toString('utf8');
  } finally {
    closeSync(file);
  }
}

/** The text of a file of registers; an error names it. */
function readText(path: string): string {
  try {
    return readStart(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new PageTableError(
      'READ_FAILED',
      `--registers ${path}: cannot be read: ${code}`,
      {},
      { cause: error },
    );
  }
}

/** Registers from a file of the user's, and its text; an error names it. */
export function readRegisters(path: string): { readonly cpus: readonly Cpu[]; readonly text: string } {
  const text = readText(path);
  try {
    return { cpus: parseRegisters(text), text };
  } catch (error) {
    if (!(error instanceof PageTableError)) throw error;
    throw new PageTableError(error.code, `--registers ${path}: ${error.message}`, error.detail, {
      cause: error,
    });
  }
}

/** What the command offers where opening an image fails. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  UNSUPPORTED_IMAGE: ' (raw memory: --raw, with --base if it does not begin at physical address 0)',
  LIMIT_EXCEEDED: ' (of a packed file: --max-unpacked)',
};

/** Says on stderr what results rest on. */
export function noteSession(session: Session, output: Output, more = ''): void {
  output.note(`${sessionText(session)}${more === '' ? '' : `; ${more}`}`);
  if (session.assumed.length > 0) output.note(`assumed ${assumedText(session)}`);
}
