import { PageTableError } from '../bits/index.ts';
import type { Architecture, Cpu, Machine } from '../machine/index.ts';

/** Characters of a register dump that are read at most. */
const MAX_CHARACTERS = 2 ** 24;
const MAX_CPUS = 4096;

/** Other tools' names for registers, in capitals, and the manual's. */
const MANUAL_NAMES: Readonly<Record<string, string>> = { CPSR: 'PSTATE', SCTLR: 'SCTLR_EL1' };

/** Registers that only RISC-V has, of which any list of its registers has one: then all names are in small letters. */
const RISCV_NAMES: readonly string[] = ['satp', 'sstatus', 'mstatus', 'mhartid', 'stvec', 'ra'];

/** `NAME=value`, as QEMU's monitor prints it: hexadecimal without `0x`. */
const EQUATION = /(?:^|[\s])([A-Za-z]\w*)\s*=\s*([0-9a-fA-F]{1,16})(?![0-9a-zA-Z])/g;
/** `name  0xvalue …`, as gdb prints it; `name  value` of 8 or 16 digits, as QEMU does of RISC-V. */
const COLUMNS = /^\s*([A-Za-z]\w*)\s+(?:0x([0-9a-fA-F]{1,16})|([0-9a-fA-F]{8}|[0-9a-fA-F]{16}))(?:\s|$)/;

/**
 * Reads the registers of processors from what other tools print: QEMU's monitor (`info registers`, for one CPU or for all
 * with `-a`), gdb (`info registers`, `info all-registers`), or JSON, which is `{"cpus": [{name: value}…]}`, a list of such
 * objects, or one of them; values are numbers or text as `"0x1f"`. What is no register of at most 64 bits is passed over.
 *
 * @returns the processors in the order in which they stand, with the manual's names of their registers
 * @throws {@link PageTableError} `BAD_ARGUMENT` if there is no register in it, `LIMIT_EXCEEDED` if it is longer than 16 Mi
 *   characters or has more than 4,096 processors
 */
export function parseRegisters(text: string): readonly Cpu[] {
  if (text.length > MAX_CHARACTERS) {
    throw new PageTableError(
      'LIMIT_EXCEEDED',
      `registers: a text of ${text.length} characters; expected at most ${MAX_CHARACTERS}`,
    );
  }
  const cpus = /^\s*[[{]/.test(text) ? fromJson(text) : fromLines(text);
  if (cpus.length > MAX_CPUS) {
    throw new PageTableError(
      'LIMIT_EXCEEDED',
      `registers: ${cpus.length} processors; expected at most ${MAX_CPUS}`,
    );
  }
  if (cpus.every(({ registers }) => Object.keys(registers).length === 0)) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `registers: none found in ${JSON.stringify(text.slice(0, 60))}; expected what QEMU or gdb prints for "info registers", or JSON`,
    );
  }
  return cpus;
}

/** The machine with registers from elsewhere, which count before its own. */
export function withRegisters(machine: Machine, cpus: readonly Cpu[]): Machine {
  const merged = new Map(machine.cpus.map((cpu) => [cpu.index, cpu]));
  for (const { index, registers } of cpus) {
    merged.set(index, { index, registers: { ...merged.get(index)?.registers, ...registers } });
  }
  return {
    ...machine,
    architecture: machine.architecture ?? architectureOf(cpus),
    cpus: [...merged.values()].sort((a, b) => a.index - b.index),
    readFrames: (frames, target) => machine.readFrames(frames, target),
    close: () => machine.close(),
  };
}

/** The family that has registers of such names; `undefined` if none of them tells. */
function architectureOf(cpus: readonly Cpu[]): Architecture | undefined {
  const has = (...names: string[]) => cpus.some(({ registers }) => names.some((name) => name in registers));
  if (has('CR3', 'CR0')) return 'x86';
  if (has('TTBR0_EL1', 'TTBR1_EL1', 'TCR_EL1')) return 'aarch64';
  return has(...RISCV_NAMES) ? 'riscv' : undefined;
}

function fromJson(text: string): Cpu[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PageTableError('BAD_ARGUMENT', `registers: not JSON: ${String(error)}`, {}, { cause: error });
  }
  const list = isObject(value) && 'cpus' in value ? value['cpus'] : value;
  const objects: readonly unknown[] = Array.isArray(list) ? list : [list];
  return named(
    objects.map((one, index) => {
      const entries = isObject(one) ? Object.entries(one) : [];
      return { index, entries: entries.flatMap(([name, raw]) => jsonRegister(name, raw)) };
    }),
  );
}

/** One processor's registers by the names that a tool gives them. */
interface Entries {
  readonly index: number;
  readonly entries: [name: string, value: bigint][];
}

function jsonRegister(name: string, raw: unknown): [string, bigint][] {
  if (typeof raw === 'number' && Number.isSafeInteger(raw) && raw >= 0) return [[name, BigInt(raw)]];
  return typeof raw === 'string' && /^0x[0-9a-f]{1,16}$/i.test(raw) ? [[name, BigInt(raw)]] : [];
}

function fromLines(text: string): Cpu[] {
  const cpus: Entries[] = [];
  for (const line of text.split('\n')) {
    const header = /^\s*CPU#(\d{1,4})\s*$/.exec(line);
    if (header !== null) {
      cpus.push({ index: Number(header[1]), entries: [] });
      continue;
    }
    const column = COLUMNS.exec(line);
    const found =
      column !== null
        ? [[column[1], column[2] ?? column[3]]]
        : [...line.matchAll(EQUATION)].map(([, name, digits]) => [name, digits]);
    if (found.length === 0) continue;
    // What stands before any header is of the first processor.
    if (cpus.length === 0) cpus.push({ index: 0, entries: [] });
    const { entries } = cpus[cpus.length - 1];
    for (const [name, digits] of found) entries.push([name, BigInt(`0x${digits}`)]);
  }
  return named(cpus);
}

/** Registers by the manual's names: capitals, save those of RISC-V. */
function named(cpus: readonly Entries[]): Cpu[] {
  const isRiscv = cpus.some(({ entries }) =>
    entries.some(([name]) => RISCV_NAMES.includes(name.toLowerCase())),
  );
  const manual = (name: string) => {
    const capitals = name.toUpperCase();
    return isRiscv ? name.toLowerCase() : (MANUAL_NAMES[capitals] ?? capitals);
  };
  return cpus.map(({ index, entries }) => ({
    index,
    registers: Object.fromEntries(entries.map(([name, value]) => [manual(name), value])),
  }));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
