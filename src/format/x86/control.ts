import { hex, PageTableError } from '../../bits/index.ts';
import { type CompiledFormat, compileFormat } from '../compile.ts';
import { bitOf, type ControlFlagFact } from '../control-flag.ts';
import type { FormatFact } from '../format.ts';
import type { Root } from '../paging.ts';
import { FORMAT_4_LEVEL, FORMAT_5_LEVEL, FORMAT_32_BIT, FORMAT_PAE } from './formats.ts';

// Intel SDM vol. 3A, section "Control Registers"; vol. 4, IA32_EFER.

/** CR0.PE: protected mode. */
export const CR0_PE = 1n << 0n;
/** CR0.NW: not write-through. */
export const CR0_NW = 1n << 29n;
/** CR0.CD: caches are off. */
export const CR0_CD = 1n << 30n;
/** CR0.WP: supervisor writes obey R/W. */
export const CR0_WP = 1n << 16n;
/** CR0.PG: paging is on. */
export const CR0_PG = 1n << 31n;
/** CR4.PSE: 4-MiB pages in 32-bit paging. */
export const CR4_PSE = 1n << 4n;
/** CR4.PAE: 8-byte entries. */
export const CR4_PAE = 1n << 5n;
/** CR4.PGE: global pages. */
export const CR4_PGE = 1n << 7n;
/** CR4.LA57: 5-level paging in long mode. */
export const CR4_LA57 = 1n << 12n;
/** CR4.PCIDE: translations are tagged with the process-context identifier in CR3. */
export const CR4_PCIDE = 1n << 17n;
/** CR4.SMEP: no supervisor fetch from user pages. */
export const CR4_SMEP = 1n << 20n;
/** CR4.SMAP: no supervisor data access to user pages unless RFLAGS.AC is set. */
export const CR4_SMAP = 1n << 21n;
/** CR4.PKE: protection keys for user pages. */
export const CR4_PKE = 1n << 22n;
/** CR4.CET: control-flow enforcement. */
export const CR4_CET = 1n << 23n;
/** CR4.PKS: protection keys for supervisor pages. */
export const CR4_PKS = 1n << 24n;
/** EFER.LME: long mode when paging is on. */
export const EFER_LME = 1n << 8n;
/** EFER.LMA: long mode is on. */
export const EFER_LMA = 1n << 10n;
/** EFER.NXE: execute-disable. */
export const EFER_NXE = 1n << 11n;

const PAGING = 'Intel SDM vol. 3A, section "Paging-Mode Modifiers"';
const RIGHTS = 'Intel SDM vol. 3A, section "Determination of Access Rights"';
const KEYS = 'Intel SDM vol. 3A, section "Protection Keys"';
const GLOBAL = 'Intel SDM vol. 3A, section "Global Pages"';
const KEYED = [FORMAT_4_LEVEL, FORMAT_5_LEVEL];
const WIDE = [FORMAT_PAE, ...KEYED];

function flag(
  register: 'CR0' | 'CR4' | 'EFER',
  name: string,
  mask: bigint,
  meaning: string,
  source: string,
  formats?: readonly FormatFact[],
): ControlFlagFact<'CR0' | 'CR4' | 'EFER'> {
  const fact = { register, name, bit: bitOf(mask), meaning, source };
  return formats === undefined ? fact : { ...fact, formats };
}

/** The bits of control registers that change what entries mean, but not which format they have. */
export const X86_FLAGS: readonly ControlFlagFact<'CR0' | 'CR4' | 'EFER'>[] = [
  flag('CR0', 'WP', CR0_WP, 'supervisor writes obey R/W', RIGHTS),
  flag('CR4', 'PSE', CR4_PSE, 'PS = 1 in a PDE maps a page of 4 MiB', PAGING, [FORMAT_32_BIT]),
  flag('CR4', 'PGE', CR4_PGE, 'pages with G = 1 are global', GLOBAL),
  flag('CR4', 'SMEP', CR4_SMEP, 'no supervisor fetch from user pages', RIGHTS),
  flag('CR4', 'SMAP', CR4_SMAP, 'no supervisor read or write of user pages, unless RFLAGS.AC = 1', RIGHTS),
  flag('CR4', 'PKE', CR4_PKE, 'PKRU may deny user pages by their keys', KEYS, KEYED),
  flag('CR4', 'PKS', CR4_PKS, 'PKRS may deny supervisor pages by their keys', KEYS, KEYED),
  flag('EFER', 'NXE', EFER_NXE, 'XD = 1 forbids fetches; otherwise it is reserved', PAGING, WIDE),
];

/** IA32_PAT after reset: WB, WT, UC-, UC, twice. */
export const PAT_RESET = 0x0007_0406_0007_0406n;

/** Everything outside the tables that decides what they mean. Registers are unsigned 64-bit values. */
export interface X86Control {
  readonly cr0: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
  readonly pat: bigint;
  readonly pkru: bigint;
  readonly pkrs: bigint;
  /** MAXPHYADDR, in `[32, 52]`. */
  readonly physBits: number;
  /** CPUID 80000001H:EDX bit 26. */
  readonly page1GB: boolean;
  /** CPUID 1:EDX bit 17. */
  readonly pse36: boolean;
  /** Whether PML4E and PML5E bit 8 must be 0. */
  readonly amd: boolean;
}

/** The names of {@link X86Control}, as users give them. */
export type X86ControlName = keyof X86Control;

/** Control state of which some may not be known. */
export type KnownX86Control = { readonly [N in X86ControlName]?: X86Control[N] | undefined };

/** A value that no source gave. */
export interface Assumption {
  readonly name: X86ControlName;
  /** For people: the value. */
  readonly short: string;
  /** The value, and what follows from it. */
  readonly text: string;
}

/** Control state, and how much of it is assumed. */
export interface ResolvedControl {
  readonly control: X86Control;
  readonly assumed: readonly Assumption[];
}

/**
 * Completes control state from whatever is known, and lists what had to be assumed.
 *
 * Assumptions are those under which the fewest entries count as faulty: the widest physical addresses, 1-GiB pages.
 *
 * @param known - what the source or the user gives; fields may be missing
 * @param longMode - whether EFER.LMA was 1, where the source says so
 * @param mode - the format wanted, whatever CR0, CR4 and EFER say of it
 */
export function resolveX86Control(
  known: KnownX86Control,
  longMode: boolean | undefined,
  mode?: FormatFact,
): ResolvedControl {
  const assumed: Assumption[] = [];
  const quiet = <N extends X86ControlName>(name: N, value: X86Control[N]): X86Control[N] => {
    const given: X86Control[N] | undefined = known[name];
    return given ?? value;
  };
  const assume = <N extends X86ControlName>(
    name: N,
    value: X86Control[N],
    short: string,
    consequence: string,
  ): X86Control[N] => {
    if (known[name] === undefined) assumed.push({ name, short, text: `${short}: ${consequence}` });
    return quiet(name, value);
  };
  const long = mode?.signExtended ?? longMode ?? true;
  const pae = mode !== FORMAT_32_BIT;
  const five = mode === FORMAT_5_LEVEL;
  const cr0 = assume('cr0', CR0_PG | CR0_WP, 'CR0.PG = 1, CR0.WP = 1', 'supervisor writes obey R/W');
  const cr3 = assume('cr3', 0n, 'CR3 = 0', 'the root table is at physical address 0');
  const cr4Default = CR4_PSE | CR4_PGE | (pae ? CR4_PAE : 0n) | (five ? CR4_LA57 : 0n);
  const cr4 = assume(
    'cr4',
    cr4Default,
    `CR4 = ${hex(cr4Default)} (PSE, PGE${pae ? ', PAE' : ''}${five ? ', LA57' : ''})`,
    'no SMEP, no SMAP, no protection keys',
  );
  // Without PAE nothing of EFER matters.
  const efer = ((mode === undefined ? (cr4 & CR4_PAE) !== 0n : pae) ? assume : quiet)(
    'efer',
    long ? EFER_LME | EFER_LMA | EFER_NXE : EFER_NXE,
    `EFER.NXE = 1, EFER.LMA = ${long ? 1 : 0}`,
    'bit 63 of an entry (XD) forbids fetches',
  );
  const registers = mode === undefined ? { cr0, cr4, efer } : select(mode, cr0, cr4, efer);
  // The rest changes nothing for a format that does not use it: only what matters is said aloud.
  const paging = modeOf(registers.cr0, registers.cr4, registers.efer);
  const wide = paging !== undefined && paging !== FORMAT_32_BIT;
  const keyed = paging === FORMAT_4_LEVEL || paging === FORMAT_5_LEVEL;
  const control: X86Control = {
    ...registers,
    cr3,
    pat: assume('pat', PAT_RESET, 'PAT at its reset value', 'entries are WB, WT, UC-, UC, WB, WT, UC-, UC'),
    pkru:
      keyed && (cr4 & CR4_PKE) !== 0n
        ? assume('pkru', 0n, 'PKRU = 0', 'no protection key denies user pages')
        : quiet('pkru', 0n),
    pkrs:
      keyed && (cr4 & CR4_PKS) !== 0n
        ? assume('pkrs', 0n, 'PKRS = 0', 'no protection key denies supervisor pages')
        : quiet('pkrs', 0n),
    physBits: wide
      ? assume('physBits', 52, '52 physical-address bits', 'no address bit of an entry counts as reserved')
      : quiet('physBits', 40),
    page1GB: keyed ? quiet('page1GB', true) : false,
    pse36: quiet('pse36', true),
    amd: quiet('amd', false),
  };
  return { control, assumed };
}

/** Control registers changed so that they select a format. */
function select(
  mode: FormatFact,
  cr0: bigint,
  cr4: bigint,
  efer: bigint,
): Pick<X86Control, 'cr0' | 'cr4' | 'efer'> {
  const set = (value: bigint, bits: bigint, on: boolean) => (on ? value | bits : value & ~bits);
  return {
    cr0: cr0 | CR0_PG,
    cr4: set(set(cr4, CR4_PAE, mode !== FORMAT_32_BIT), CR4_LA57, mode === FORMAT_5_LEVEL),
    efer: set(efer, EFER_LME | EFER_LMA, mode.signExtended),
  };
}

/** Control state as far as a processor's registers tell, by their manual names: `CR3`, `EFER`. */
export function knownX86Control(registers: Readonly<Record<string, bigint | undefined>>): KnownX86Control {
  return { cr0: registers['CR0'], cr3: registers['CR3'], cr4: registers['CR4'], efer: registers['EFER'] };
}

/** The format that control registers select; `undefined` while paging is off. */
export function modeOf(cr0: bigint, cr4: bigint, efer: bigint): FormatFact | undefined {
  if ((cr0 & CR0_PG) === 0n) return undefined;
  if ((cr4 & CR4_PAE) === 0n) return FORMAT_32_BIT;
  if ((efer & EFER_LME) === 0n) return FORMAT_PAE;
  return (cr4 & CR4_LA57) === 0n ? FORMAT_4_LEVEL : FORMAT_5_LEVEL;
}

/** An x86 format under given control state. */
export function x86Format(fact: FormatFact, control: X86Control): CompiledFormat {
  const states = new Set<string>();
  const add = (name: string, holds: boolean) => holds && states.add(name);
  add('CR4.PSE', (control.cr4 & CR4_PSE) !== 0n);
  add('CR4.PGE', (control.cr4 & CR4_PGE) !== 0n);
  add('CR4.PKE', (control.cr4 & CR4_PKE) !== 0n);
  add('CR4.PKS', (control.cr4 & CR4_PKS) !== 0n);
  add('EFER.NXE', (control.efer & EFER_NXE) !== 0n);
  add('Page1GB', control.page1GB);
  add('AMD', control.amd);
  const P = control.pse36 ? Math.min(40, control.physBits) : 32;
  return compileFormat(fact, { M: control.physBits, P, states });
}

/**
 * The root table that CR3 names.
 *
 * @param cr3 - 64 bits; PCID, PWT, PCD, LAM bits and bit 63 are passed over
 * @throws {@link PageTableError} `OUT_OF_RANGE` if it is not an unsigned 64-bit value, or the root lies above the physical
 *   address space; in 32-bit and PAE paging CR3 has 32 bits, and what is above them is passed over
 * @see Intel SDM vol. 3A, tables "Use of CR3" of each paging mode
 */
export function rootOf(fact: FormatFact, cr3: bigint, physBits: number): Root {
  if (
    cr3 < 0n ||
    cr3 >> 64n !== 0n ||
    (fact.vaBits > 32 && BigInt.asUintN(61, cr3) >> BigInt(physBits) !== 0n)
  ) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `CR3 = ${hex(cr3)}; expected an unsigned 64-bit value with a root below 2^${physBits}`,
      { cr3, physBits },
    );
  }
  const address = BigInt.asUintN(fact.vaBits === 32 ? 32 : physBits, cr3);
  // Frame numbers have at most 40 bits, the offset 12.
  const frame = Number(address >> 12n);
  return { frame, word: fact === FORMAT_PAE ? Number((address & 0xfe0n) >> 2n) : 0 };
}
