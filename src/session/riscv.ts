import { FRAME_BYTES, hex, PageTableError, pageOf } from '../bits/index.ts';
import {
  type FormatFact,
  type KnownRiscvControl,
  knownRiscvControl,
  MENVCFG_ADUE,
  MENVCFG_PBMTE,
  RISCV_FLAGS,
  RISCV_FORMATS,
  resolveRiscvControl,
  riscvMode,
  riscvPaging,
  SSTATUS_MXR,
  SSTATUS_SUM,
  satpFor,
  satpRoot,
} from '../format/index.ts';
import type { Cpu, Machine, NamedRoot } from '../machine/index.ts';
import type { Choice, TableOptions } from './choice.ts';
import { controlFlags } from './flags.ts';
import { parseCount, parseHex } from './parse.ts';
import { firstGiven, rootText } from './root-text.ts';

/** Options that RISC-V machines have; x86 machines have some of them too. */
export const RISCV_OPTIONS = ['root', 'mode', 'satp', 'sstatus', 'menvcfg', 'svnapot', 'svpbmt'] as const;

/**
 * Chooses the page tables of a RISC-V machine.
 *
 * @throws {@link PageTableError} `NO_ROOT`, `BAD_ARGUMENT`, `PAGING_DISABLED`
 */
export function chooseRiscv(machine: Machine, cpu: Cpu | undefined, options: TableOptions): Choice {
  const registers = cpu?.registers ?? {};
  const known = { ...knownRiscvControl(registers), ...givenControl(options) };
  const mode = modeOption(options);
  const named = machine.roots[0];
  const root = rootOption(options);
  if (registers['v'] === 1n && options.satp === undefined && root === undefined) {
    throw new PageTableError(
      'NO_ROOT',
      `CPU ${cpu?.index ?? 0} runs a guest (V = 1): its satp leads to guest-physical addresses, which hgatp translates again; choose another with --cpu, or give --satp, or --root with --mode`,
    );
  }
  const xlen = xlenOf(mode, known, machine, named);
  const held = known.satp === undefined ? undefined : { satp: known.satp, xlen };
  let satp = known.satp;
  if (root !== undefined || mode !== undefined || held === undefined) {
    const fact = mode ?? (held === undefined ? formatOf(named) : riscvMode(held));
    const frame = root ?? (held === undefined ? frameOf(named?.address) : satpRoot(held).frame);
    if (frame === undefined) throw noRoot(machine);
    if (fact === undefined) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `the root table is known, but not how many levels it has; give --mode, one of ${modeNames()}`,
      );
    }
    satp = satpFor(fact, frame);
  }
  const { control, assumed } = resolveRiscvControl({ ...known, xlen, satp });
  const paging = riscvPaging(control);
  // A processor without Svpbmt has no PBMTE.
  const facts = RISCV_FLAGS.filter(({ name }) => name !== 'PBMTE' || options.svpbmt !== false);
  const { sum, mxr, svpbmt, adue } = control;
  return {
    spaces: [
      {
        paging,
        rootFrom: rootText(
          firstGiven(options, ['root', 'satp']),
          held === undefined ? undefined : 'satp',
          cpu,
          named,
        ),
      },
    ],
    unread: [],
    assumed,
    flags: controlFlags(facts, paging.format.fact, {
      sstatus: ['sstatus', (sum ? SSTATUS_SUM : 0n) | (mxr ? SSTATUS_MXR : 0n)],
      menvcfg: ['menvcfg', (svpbmt ? MENVCFG_PBMTE : 0n) | (adue ? MENVCFG_ADUE : 0n)],
    }),
  };
}

/** Whether a text is the name of a mode of RISC-V: `sv39`. */
export function isRiscvMode(text: string): boolean {
  return formatNamed(text) !== undefined;
}

/**
 * The width of satp: what the user's mode says, the processor, the file, the value itself, Linux. Where nothing tells, it
 * makes no difference: satp is not known then, or 0.
 */
function xlenOf(
  mode: FormatFact | undefined,
  known: KnownRiscvControl,
  machine: Machine,
  named: NamedRoot | undefined,
): 32 | 64 {
  if (mode !== undefined) return mode.vaBits === 32 ? 32 : 64;
  const { satp } = known;
  if (known.xlen !== undefined) return known.xlen;
  if (machine.xlen !== undefined) return machine.xlen;
  // With 64 bits, MODE would be Bare, which has all other bits 0.
  if (satp !== undefined) return satp >> 31n === 1n ? 32 : 64;
  return named?.vaBits === 32 ? 32 : 64;
}

function noRoot(machine: Machine): PageTableError {
  return new PageTableError(
    'NO_ROOT',
    `${machine.kind} holds no satp and names no root table; give registers with --registers FILE, or --satp, or --root with --mode`,
  );
}

function givenControl(options: TableOptions): KnownRiscvControl {
  const value = (name: 'satp' | 'sstatus' | 'menvcfg') => {
    const text = options[name];
    return text === undefined ? undefined : parseHex(`--${name}`, text);
  };
  const all: KnownRiscvControl = {
    ...knownRiscvControl({ satp: value('satp'), sstatus: value('sstatus'), menvcfg: value('menvcfg') }),
    ...(options.svnapot === false ? { svnapot: false } : {}),
    ...(options.svpbmt === false ? { svpbmt: false } : {}),
    physBits:
      options.physBits === undefined ? undefined : parseCount('--phys-bits', options.physBits, 32, 56),
  };
  return Object.fromEntries(Object.entries(all).filter(([, one]) => one !== undefined));
}

/** Frame of the root that the user gives. */
function rootOption(options: TableOptions): number | undefined {
  if (options.root === undefined) return undefined;
  const root = parseHex('--root', options.root);
  const frame = frameOf(root);
  if (frame !== undefined) return frame;
  throw new PageTableError(
    'BAD_ARGUMENT',
    `--root ${hex(root)}; expected the address of a root table: a multiple of ${FRAME_BYTES} below 2^56. Give a value of satp with --satp`,
    { root },
  );
}

/** Frame of a root table; `undefined` if no table can lie there. */
function frameOf(address: bigint | undefined): number | undefined {
  const isTable = address !== undefined && address % BigInt(FRAME_BYTES) === 0n && address < 1n << 56n;
  return isTable ? pageOf(address) : undefined;
}

function modeOption(options: TableOptions): FormatFact | undefined {
  const { mode } = options;
  if (mode === undefined) return undefined;
  const fact = formatNamed(mode);
  if (fact !== undefined) return fact;
  throw new PageTableError('BAD_ARGUMENT', `--mode is '${mode}'; expected one of ${modeNames()}`, { mode });
}

function formatNamed(text: string): FormatFact | undefined {
  return RISCV_FORMATS.find((one) => one.name === text.toLowerCase());
}

/** The format of a root that an image names, as far as it says. */
function formatOf(named: NamedRoot | undefined): FormatFact | undefined {
  return RISCV_FORMATS.find((one) => one.vaBits === named?.vaBits);
}

function modeNames(): string {
  return RISCV_FORMATS.map((one) => one.name).join(', ');
}
