import { closeSync, openSync, readSync } from 'node:fs';
import { type ErrorCode, hex64, PageTableError } from '../bits/index.ts';
import { halfOf, type Paging } from '../format/index.ts';
import type { Architecture, Cpu, Machine } from '../machine/index.ts';
import { parseRegisters, withRegisters } from '../source/index.ts';
import { openFile } from '../source/node/index.ts';
import { tableAddress } from '../walk/index.ts';
import { AARCH64_OPTIONS, chooseAarch64 } from './aarch64.ts';
import type { Choice, SourceOptions, Space } from './choice.ts';
import type { Json, Output } from './output.ts';
import { chooseRiscv, isRiscvMode, RISCV_OPTIONS } from './riscv.ts';
import { parseCount, parseHex, parseSize } from './text.ts';
import { chooseX86, X86_OPTIONS } from './x86.ts';

/** An open source, and the page tables that were chosen in it. */
export interface Session extends Choice {
  readonly machine: Machine;
}

/** Opens the source of a command; an error names it. */
export async function openSource(path: string, options: SourceOptions): Promise<Machine> {
  const base = options.base === undefined ? {} : { base: parseHex('--base', options.base) };
  const limit =
    options.maxUnpacked === undefined
      ? {}
      : // Sizes are below 2^53 in any memory.
        { maxUnpackedBytes: Number(parseSize('--max-unpacked', options.maxUnpacked)) };
  const registers = options.registers === undefined ? undefined : readRegisters(options.registers);
  try {
    const machine = await openFile(path, {
      ...(options.raw ? { format: 'raw' as const } : {}),
      ...base,
      ...limit,
    });
    return registers === undefined ? machine : withRegisters(machine, registers);
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

/** Registers from a file of the user's; an error names it. */
function readRegisters(path: string): readonly Cpu[] {
  let text: string;
  try {
    text = readStart(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new PageTableError(
      'READ_FAILED',
      `--registers ${path}: cannot be read: ${code}`,
      {},
      { cause: error },
    );
  }
  try {
    return parseRegisters(text);
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

/** What each architecture has of its own. */
const ARCHITECTURES = {
  x86: { options: X86_OPTIONS, choose: chooseX86 },
  aarch64: { options: AARCH64_OPTIONS, choose: chooseAarch64 },
  riscv: { options: RISCV_OPTIONS, choose: chooseRiscv },
} as const;

/**
 * Chooses page tables in a machine, from its registers and what the user gives.
 *
 * @throws {@link PageTableError} `NO_ROOT`, `NO_CPU`, `BAD_ARGUMENT`, `PAGING_DISABLED`
 */
export function choosePaging(machine: Machine, options: SourceOptions): Session {
  const architecture = machine.architecture ?? givenArchitecture(options);
  const own: readonly OwnOption[] = ARCHITECTURES[architecture].options;
  for (const other of ['x86', 'aarch64', 'riscv'] as const) {
    const stray = ARCHITECTURES[other].options.find((name) => !own.includes(name) && isGiven(options, name));
    if (stray === undefined) continue;
    const hint = stray === 'root' ? '; its two root tables are given with --ttbr0 and --ttbr1' : '';
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${optionText(stray)} is of ${other} machines; this one is ${architecture}${hint}`,
      { architecture },
    );
  }
  const cpu = chooseCpu(machine, options.cpu);
  return { machine, ...ARCHITECTURES[architecture].choose(machine, cpu, options) };
}

/** An option that not every architecture has. */
type OwnOption = (typeof ARCHITECTURES)[Architecture]['options'][number];

/** The architecture of a machine that does not tell: the one whose registers or mode are given, else x86. */
function givenArchitecture(options: SourceOptions): Architecture {
  const has = (names: readonly OwnOption[]) => names.some((name) => isGiven(options, name));
  if (has(AARCH64_OPTIONS)) return 'aarch64';
  const isRiscv =
    has(RISCV_OPTIONS.filter((name) => name !== 'root' && name !== 'mode')) ||
    (options.mode !== undefined && isRiscvMode(options.mode));
  return isRiscv ? 'riscv' : 'x86';
}

/** Options that begin with `no-`: they are true where they are not given. */
const DENIALS: readonly string[] = ['page1gb', 'pse36', 'svnapot', 'svpbmt'];

function isGiven(options: SourceOptions, name: OwnOption): boolean {
  return DENIALS.includes(name) ? options[name] === false : options[name] !== undefined;
}

function optionText(name: string): string {
  return DENIALS.includes(name) ? `--no-${name}` : `--${name}`;
}

function chooseCpu(machine: Machine, text: string | undefined): Cpu | undefined {
  if (text === undefined) return machine.cpus[0];
  const index = parseCount('--cpu', text, 0, 2 ** 20);
  const cpu = machine.cpus.find((one) => one.index === index);
  if (cpu !== undefined) return cpu;
  const known = machine.cpus.map((one) => one.index);
  const found = known.length === 0 ? 'no CPUs' : `CPUs ${known[0]} to ${known[known.length - 1]}`;
  throw new PageTableError('NO_CPU', `--cpu ${index}: the image holds ${found}`, { cpu: index });
}

/** Physical byte address of the root table. */
function rootAddress(paging: Paging): bigint {
  return tableAddress(paging, 0, paging.root.frame);
}

/**
 * The page tables that translate an address.
 *
 * @throws {@link PageTableError} `NO_ROOT` if it lies in a half that has none here
 */
export function spaceAt(session: Session, address: bigint): Space {
  const half = halfOf(address);
  const space = session.spaces.find((one) => one.half === undefined || one.half === half);
  if (space !== undefined) return space;
  throw new PageTableError(
    'NO_ROOT',
    `${hex64(address)} lies in the ${session.unread.find((text) => text.startsWith(half)) ?? half}`,
    { address },
  );
}

/** What a reader must know of a session before its results: `x86-64 4-level paging, root 0x… from CR3 of CPU 0`. */
export function sessionText(session: Session): string {
  return [...session.spaces.map(spaceText), ...session.unread].join('; ');
}

/** The same of one address space, or half of one. */
export function spaceText({ paging, rootFrom }: Space): string {
  return `${paging.format.fact.title}, root ${hex64(rootAddress(paging))} from ${rootFrom}`;
}

/** What was assumed, on one line; `info` says what follows from each. */
export function assumedText(session: Session): string {
  return session.assumed.map((one) => one.short).join('; ');
}

/** The same for JSON. */
export function sessionJson(session: Session): { readonly [key: string]: Json } {
  const spaces = session.spaces.map(({ paging, rootFrom, half }) => ({
    mode: paging.format.fact.name,
    vaBits: paging.format.fact.vaBits,
    half: half ?? null,
    root: hex64(rootAddress(paging)),
    rootFrom,
  }));
  const only = spaces.length === 1 ? spaces[0] : undefined;
  return {
    mode: spaces[0].mode,
    root: only?.root ?? null,
    rootFrom: only?.rootFrom ?? null,
    spaces,
    unread: session.unread,
    assumed: session.assumed.map((one) => one.text),
  };
}

/** Says on stderr what results rest on. */
export function noteSession(session: Session, output: Output, more = ''): void {
  output.note(`${sessionText(session)}${more === '' ? '' : `; ${more}`}`);
  if (session.assumed.length > 0) output.note(`assumed ${assumedText(session)}`);
}
