import { hex64, PageTableError } from '../bits/index.ts';
import { halfOf, type Paging } from '../format/index.ts';
import type { Architecture, Cpu, Machine } from '../machine/index.ts';
import { tableAddress } from '../walk/index.ts';
import { AARCH64_OPTIONS, chooseAarch64 } from './aarch64.ts';
import type { Choice, Space, TableOptions } from './choice.ts';
import { parseCount } from './parse.ts';
import { chooseRiscv, isRiscvMode, RISCV_OPTIONS } from './riscv.ts';
import { chooseX86, X86_OPTIONS } from './x86.ts';

/** A machine, and the page tables that were chosen in it. */
export interface Session extends Choice {
  readonly machine: Machine;
}

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
export function choosePaging(machine: Machine, options: TableOptions): Session {
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
function givenArchitecture(options: TableOptions): Architecture {
  const has = (names: readonly OwnOption[]) => names.some((name) => isGiven(options, name));
  if (has(AARCH64_OPTIONS)) return 'aarch64';
  const isRiscv =
    has(RISCV_OPTIONS.filter((name) => name !== 'root' && name !== 'mode')) ||
    (options.mode !== undefined && isRiscvMode(options.mode));
  return isRiscv ? 'riscv' : 'x86';
}

/** Options that begin with `no-`: they are true where they are not given. */
const DENIALS: readonly string[] = ['page1gb', 'pse36', 'svnapot', 'svpbmt'];

function isGiven(options: TableOptions, name: OwnOption): boolean {
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
export function rootAddress(paging: Paging): bigint {
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
