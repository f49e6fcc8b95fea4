import { hex64, PageTableError } from '../bits/index.ts';
import {
  type Assumption,
  CR0_PG,
  CR4_LA57,
  CR4_PAE,
  EFER_LMA,
  EFER_LME,
  FORMAT_4_LEVEL,
  FORMAT_5_LEVEL,
  FORMAT_32_BIT,
  modeOf,
  type Paging,
  resolveX86Control,
  X86_FORMATS,
  type X86Control,
  x86Paging,
} from '../format/index.ts';
import type { Cpu, Machine } from '../machine/index.ts';
import { openFile } from '../source/node/index.ts';
import { parseCount, parseHex } from './text.ts';

/** What every verb takes, as commander gives it. */
export interface SourceOptions {
  readonly raw?: true;
  readonly base?: string;
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

/** Opens the source of a command. */
export function openSource(path: string, options: SourceOptions): Promise<Machine> {
  return openFile(path, {
    ...(options.raw ? { format: 'raw' as const } : {}),
    ...(options.base === undefined ? {} : { base: parseHex('--base', options.base) }),
  });
}

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
  const given = givenControl(options);
  const found: Partial<X86Control> = cpu === undefined ? {} : registersOf(cpu);
  let rootFrom =
    given.cr3 === undefined
      ? `CR3 of CPU ${cpu?.index ?? 0}`
      : options.root === undefined
        ? '--cr3'
        : '--root';
  let levels: number | undefined;
  let root: bigint | undefined = given.cr3 ?? found.cr3;
  if (root === undefined && machine.roots.length > 0) {
    const named = machine.roots[0];
    root = named.address;
    levels = named.levels;
    rootFrom = `${named.name} (${named.source})`;
  }
  if (root === undefined) {
    throw new PageTableError(
      'NO_ROOT',
      `${machine.kind} holds no CR3 and names no root table; give its physical address with --root, as in --root 0x1000`,
    );
  }
  const known: Partial<X86Control> = {
    ...found,
    ...given,
    cr3: root,
    ...modeRegisters(options.mode ?? (levels === 5 ? '5-level' : undefined), { ...found, ...given }),
  };
  const { control, assumed } = resolveX86Control(known, machine.longMode);
  return { machine, control, paging: x86Paging(control), rootFrom, assumed };
}

/** The format that a session reads, in words. */
export function modeText(control: X86Control): string {
  return modeOf(control.cr0, control.cr4, control.efer)?.title ?? 'paging off';
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

function registersOf(cpu: Cpu): Partial<X86Control> {
  const { CR0: cr0, CR3: cr3, CR4: cr4, EFER: efer } = cpu.registers;
  return {
    ...(cr0 === undefined ? {} : { cr0 }),
    ...(cr3 === undefined ? {} : { cr3 }),
    ...(cr4 === undefined ? {} : { cr4 }),
    ...(efer === undefined ? {} : { efer }),
  };
}

function givenControl(options: SourceOptions): Partial<X86Control> {
  const given: Record<string, bigint | number | boolean> = {};
  for (const name of ['cr0', 'cr3', 'cr4', 'efer', 'pat', 'pkru', 'pkrs'] as const) {
    const text = options[name];
    if (text !== undefined) given[name] = parseHex(`--${name}`, text);
  }
  if (options.root !== undefined) given['cr3'] = parseHex('--root', options.root);
  if (options.physBits !== undefined) given['physBits'] = parseCount('--phys-bits', options.physBits, 32, 52);
  if (options.page1gb === false) given['page1GB'] = false;
  if (options.pse36 === false) given['pse36'] = false;
  if (options.amd === true) given['amd'] = true;
  return given;
}

/** Control registers changed so that they select a mode. */
function modeRegisters(name: string | undefined, known: Partial<X86Control>): Partial<X86Control> {
  if (name === undefined) return {};
  const fact = X86_FORMATS.find((one) => one.name.toLowerCase() === name.toLowerCase());
  if (fact === undefined) {
    const names = X86_FORMATS.map((one) => one.name).join(', ');
    throw new PageTableError('BAD_ARGUMENT', `--mode is '${name}'; expected one of ${names}`, { mode: name });
  }
  const long = fact === FORMAT_4_LEVEL || fact === FORMAT_5_LEVEL;
  const base = resolveX86Control(known, long).control;
  const set = (value: bigint, bits: bigint, on: boolean) => (on ? value | bits : value & ~bits);
  const cr4 = set(set(base.cr4, CR4_PAE, fact !== FORMAT_32_BIT), CR4_LA57, fact === FORMAT_5_LEVEL);
  return { cr0: base.cr0 | CR0_PG, cr4, efer: set(base.efer, EFER_LME | EFER_LMA, long) };
}

/** What a reader must know of a session before its results: `x86-64 4-level paging, root 0x… from CR3 of CPU 0`. */
export function sessionText(session: Session): string {
  return `${modeText(session.control)}, root ${hex64(session.control.cr3)} from ${session.rootFrom}`;
}

/** What was assumed, on one line; `info` says what follows from each. */
export function assumedText(session: Session): string {
  return session.assumed.map((one) => one.short).join('; ');
}
