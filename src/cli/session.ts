import { type ErrorCode, hex, hex64, PageTableError } from '../bits/index.ts';
import {
  type Assumption,
  FORMAT_5_LEVEL,
  FORMAT_PAE,
  type FormatFact,
  knownX86Control,
  type Paging,
  resolveX86Control,
  X86_FORMATS,
  type X86Control,
  x86Paging,
} from '../format/index.ts';
import type { Cpu, Machine, NamedRoot } from '../machine/index.ts';
import { openFile } from '../source/node/index.ts';
import { tableAddress } from '../walk/index.ts';
import type { Json, Output } from './output.ts';
import { parseCount, parseHex, parseSize } from './text.ts';

/** What every verb takes, as commander gives it. */
export interface SourceOptions {
  readonly raw?: true;
  readonly base?: string;
  readonly maxUnpacked?: string;
  readonly cpu?: string;
  readonly root?: string;
  readonly mode?: string;
  readonly cr0?: string;
  readonly cr3?: string;
  readonly cr4?: string;
  readonly efer?: string;
  readonly pat?: string;
  readonly pkru?: string;
  readonly pkrs?: string;
  readonly physBits?: string;
  readonly page1gb?: boolean;
  readonly pse36?: boolean;
  readonly amd?: true;
}

/** An open source, and the page tables that were chosen in it. */
export interface Session {
  readonly machine: Machine;
  readonly control: X86Control;
  readonly paging: Paging;
  /** Where the root comes from: `CR3 of CPU 0`. */
  readonly rootFrom: string;
  readonly assumed: readonly Assumption[];
}

/** Opens the source of a command; an error names it. */
export async function openSource(path: string, options: SourceOptions): Promise<Machine> {
  const base = options.base === undefined ? {} : { base: parseHex('--base', options.base) };
  const limit =
    options.maxUnpacked === undefined
      ? {}
      : // Sizes are below 2^53 in any memory.
        { maxUnpackedBytes: Number(parseSize('--max-unpacked', options.maxUnpacked)) };
  try {
    return await openFile(path, { ...(options.raw ? { format: 'raw' as const } : {}), ...base, ...limit });
  } catch (error) {
    if (!(error instanceof PageTableError)) throw error;
    const hint = HINTS[error.code] ?? '';
    throw new PageTableError(error.code, `${path}: ${error.message}${hint}`, error.detail, { cause: error });
  }
}

/** What the command offers where opening an image fails. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  UNSUPPORTED_IMAGE: ' (raw memory: --raw, with --base if it does not begin at physical address 0)',
  LIMIT_EXCEEDED: ' (of a packed file: --max-unpacked)',
};

/**
 * Chooses page tables in a machine, from its registers and what the user gives.
 *
 * @throws {@link PageTableError} `NO_ROOT`, `NO_CPU`, `BAD_ARGUMENT`, `PAGING_DISABLED`, `UNSUPPORTED_IMAGE`
 */
export function choosePaging(machine: Machine, options: SourceOptions): Session {
  if (machine.architecture !== undefined && machine.architecture !== 'x86') {
    throw new PageTableError(
      'UNSUPPORTED_IMAGE',
      `page tables of ${machine.architecture} machines are not read by this version; expected an x86 image, found ${machine.kind} of ${machine.architecture}`,
      { architecture: machine.architecture },
    );
  }
  const cpu = chooseCpu(machine, options.cpu);
  const known = { ...(cpu === undefined ? {} : knownX86Control(cpu.registers)), ...givenControl(options) };
  const named = machine.roots[0];
  const root = rootOption(options) ?? known.cr3 ?? named?.address;
  if (root === undefined) {
    throw new PageTableError(
      'NO_ROOT',
      `${machine.kind} holds no CR3 and names no root table; give its physical address with --root, as in --root 0x1000`,
    );
  }
  // An image that says how many levels its kernel uses says it of every process.
  const levels = known.cr4 === undefined && named?.levels === 5 ? FORMAT_5_LEVEL : undefined;
  const { control, assumed } = resolveX86Control(
    { ...known, cr3: root },
    machine.longMode,
    modeOption(options) ?? levels,
  );
  const paging = x86Paging(control);
  if (options.root !== undefined && rootAddress(paging) !== root) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `--root ${hex(root)}; expected the address of a root table of ${paging.format.fact.title}: a multiple of ` +
        `${paging.format.fact === FORMAT_PAE ? 32 : 4096}${paging.format.fact.vaBits === 32 ? ', below 4 GiB' : ''}. Give a value of CR3 with --cr3`,
      { root },
    );
  }
  return { machine, control, paging, rootFrom: rootFromText(options, cpu, known.cr3, named), assumed };
}

function rootFromText(
  options: SourceOptions,
  cpu: Cpu | undefined,
  cr3: bigint | undefined,
  named: NamedRoot | undefined,
): string {
  if (options.root !== undefined) return '--root';
  if (options.cr3 !== undefined) return '--cr3';
  if (cr3 !== undefined) return `CR3 of CPU ${cpu?.index ?? 0}`;
  return `${named?.name} (${named?.source})`;
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

function givenControl(options: SourceOptions): Partial<X86Control> {
  const given: Record<string, bigint | number | boolean> = {};
  for (const name of ['cr0', 'cr3', 'cr4', 'efer', 'pat', 'pkru', 'pkrs'] as const) {
    const text = options[name];
    if (text !== undefined) given[name] = parseHex(`--${name}`, text);
  }
  if (options.physBits !== undefined) given['physBits'] = parseCount('--phys-bits', options.physBits, 32, 52);
  if (options.page1gb === false) given['page1GB'] = false;
  if (options.pse36 === false) given['pse36'] = false;
  if (options.amd === true) given['amd'] = true;
  return given;
}

function rootOption(options: SourceOptions): bigint | undefined {
  return options.root === undefined ? undefined : parseHex('--root', options.root);
}

function modeOption(options: SourceOptions): FormatFact | undefined {
  const { mode } = options;
  if (mode === undefined) return undefined;
  const fact = X86_FORMATS.find((one) => one.name.toLowerCase() === mode.toLowerCase());
  if (fact !== undefined) return fact;
  const names = X86_FORMATS.map((one) => one.name).join(', ');
  throw new PageTableError('BAD_ARGUMENT', `--mode is '${mode}'; expected one of ${names}`, { mode });
}

/** Physical byte address of the root table. */
function rootAddress(paging: Paging): bigint {
  return tableAddress(paging, 0, paging.root.frame);
}

/** What a reader must know of a session before its results: `x86-64 4-level paging, root 0x… from CR3 of CPU 0`. */
export function sessionText(session: Session): string {
  return `${session.paging.format.fact.title}, root ${hex64(rootAddress(session.paging))} from ${session.rootFrom}`;
}

/** What was assumed, on one line; `info` says what follows from each. */
export function assumedText(session: Session): string {
  return session.assumed.map((one) => one.short).join('; ');
}

/** The same for JSON. */
export function sessionJson(session: Session): { readonly [key: string]: Json } {
  return {
    mode: session.paging.format.fact.name,
    root: hex64(rootAddress(session.paging)),
    rootFrom: session.rootFrom,
    assumed: session.assumed.map((one) => one.text),
  };
}

/** Says on stderr what results rest on. */
export function noteSession(session: Session, output: Output, more = ''): void {
  output.note(`${sessionText(session)}${more === '' ? '' : `; ${more}`}`);
  if (session.assumed.length > 0) output.note(`assumed ${assumedText(session)}`);
}
