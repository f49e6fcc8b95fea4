import { hex, PageTableError } from '../../bits/index.ts';
import {
  ACCESSES,
  type CompiledFormat,
  entryOrder,
  type FormatFact,
  type KnownRiscvControl,
  type RiscvControl,
  type RiscvRightsControl,
  type Root,
  resolveRiscvControl,
  riscvDenials,
  riscvFormat,
  riscvMode,
  satpAsid,
  satpMode,
  satpRoot,
} from '../../format/index.ts';
import type { Tagging } from '../lookaside.ts';
import { ASIDS, INDEX_BITS, PAGE_ORDERS, TABLE_ORDERS } from './remembered.ts';

/** Bits of what an entry says of rights. */
const PAGE_BITS = 6;
const NO_ROOT: Root = { frame: 0, word: 0 };

/** Denials of all kinds of pages and accesses, by SUM, MXR and ADUE; each is worked out when it is first needed. */
const DENIALS: (Uint8Array | undefined)[] = [];

/** The registers of translation, and all that follows from them alone. Everything that changes them goes through {@link adopt}. */
export class RiscvState implements Tagging {
  registers: RiscvControl;
  /** Bits of an address in its high half. */
  readonly highMask: 0 | -1;
  readonly pageOrders: readonly number[];
  readonly tableOrders: readonly number[];
  /** The space of global translations. */
  readonly global: number;
  /** The current ASID. */
  space = 0;
  /** The format of the tables; `undefined` with satp.MODE = Bare. */
  format: CompiledFormat | undefined;
  root: Root = NO_ROOT;
  /** By depth: `log2` of the 4-KiB pages that an entry spans. */
  orders: readonly number[] = [];
  /** Frames from here on are beyond the physical addresses that the processor has. */
  readonly frameLimit: number;
  /** Whether addresses are translated: not in M-mode, and not with satp.MODE = Bare. */
  isOn = false;
  private inMachineMode = false;
  /** By what an address is shifted right to be 0 or -1 in its high half. */
  private signShift = 0;
  private denied: Uint8Array;
  private readonly formats = new Map<FormatFact, CompiledFormat>();

  /**
   * @param known - registers; those that are missing are as `resolveRiscvControl` assumes, with satp.MODE = Bare
   * @throws {@link PageTableError} `BAD_ARGUMENT` for values that are no registers, and for a reserved satp.MODE
   */
  constructor(known: KnownRiscvControl) {
    const registers = completed(known);
    const { xlen } = registers;
    this.registers = registers;
    this.highMask = xlen === 64 ? -1 : 0;
    this.pageOrders = PAGE_ORDERS[xlen];
    this.tableOrders = TABLE_ORDERS[xlen];
    this.global = ASIDS[xlen];
    this.frameLimit = 2 ** (registers.physBits - 12);
    this.denied = denialsOf(registers);
    this.adopt(registers);
  }

  /** Takes new registers over. The mode must be one that there is. */
  adopt(next: RiscvControl): void {
    if (next.svpbmt !== this.registers.svpbmt) this.formats.clear();
    this.registers = next;
    this.space = satpAsid(next);
    this.denied = denialsOf(next);
    const fact = riscvMode(next);
    this.format = fact === undefined ? undefined : this.formatOf(fact);
    this.root = fact === undefined ? NO_ROOT : satpRoot(next);
    const { format } = this;
    this.orders =
      format === undefined
        ? []
        : Array.from({ length: format.levels }, (_, depth) => entryOrder(format.facts, depth));
    this.signShift = fact?.signExtended ? fact.vaBits - 33 : 0;
    this.isOn = format !== undefined && !this.inMachineMode;
  }

  /** Whether addresses are translated now: M-mode has physical ones. */
  setMachineMode(value: boolean): void {
    this.inMachineMode = value;
    this.isOn = this.format !== undefined && !value;
  }

  /** Whether the bits above those that are translated are all as the highest of these. */
  isCanonical(high: number): boolean {
    const sign = high >> this.signShift;
    return this.highMask === 0 || sign === 0 || sign === -1;
  }

  /**
   * Why an access is refused, as `riscvDenials` says.
   *
   * @param page - what the entry says, six bits
   * @param access - index into `ACCESSES`
   */
  denials(page: number, access: number): number {
    return this.denied[page | (access << PAGE_BITS)];
  }

  /** Depth of the tables to which entries lead that span `2 ** order` pages; 0 if the format has none. */
  depthBelow(order: number): number {
    return this.orders.indexOf(order) + 1;
  }

  /** The manual's level of entries that span `2 ** order` pages. */
  levelOf(order: number): number {
    return order / INDEX_BITS[this.registers.xlen];
  }

  private formatOf(fact: FormatFact): CompiledFormat {
    const format = this.formats.get(fact) ?? riscvFormat(fact, this.registers);
    this.formats.set(fact, format);
    return format;
  }
}

function denialsOf({ sum, mxr, adue }: RiscvRightsControl): Uint8Array {
  const which = (sum ? 1 : 0) | (mxr ? 2 : 0) | (adue ? 4 : 0);
  const known = DENIALS[which];
  if (known !== undefined) return known;
  const found = Uint8Array.from({ length: ACCESSES.length << PAGE_BITS }, (_, at) =>
    riscvDenials(at & ((1 << PAGE_BITS) - 1), at >> PAGE_BITS, { sum, mxr, adue }),
  );
  DENIALS[which] = found;
  return found;
}

/**
 * Whether a value of satp chooses a mode that there is. A write of another has no effect.
 *
 * @see RISC-V Privileged ISA, section "Supervisor Address Translation and Protection (satp) Register"
 */
export function isKnownMode(control: Pick<RiscvControl, 'satp' | 'xlen'>): boolean {
  return satpMode(control) === 0 || riscvMode(control) !== undefined;
}

const FLAGS = ['sum', 'mxr', 'svnapot', 'svpbmt', 'adue'] as const;
const NAMES: readonly string[] = ['satp', 'xlen', ...FLAGS, 'physBits'];

/** Registers as given, completed with what is assumed. */
function completed(known: KnownRiscvControl): RiscvControl {
  const refuse = (what: string) => new PageTableError('BAD_ARGUMENT', `RiscvCpu: ${what}`);
  const stranger = Object.keys(known).find((name) => !NAMES.includes(name));
  if (stranger !== undefined) throw refuse(`register ${stranger}; expected some of ${NAMES.join(', ')}`);
  for (const name of FLAGS) {
    const value: unknown = known[name];
    if (value !== undefined && typeof value !== 'boolean') {
      throw refuse(`${name} = ${String(value)}; expected true or false`);
    }
  }
  const { xlen = 64, satp = 0n } = known;
  if (xlen !== 32 && xlen !== 64) throw refuse(`xlen ${String(xlen)}; expected 32 or 64`);
  if (typeof satp !== 'bigint' || BigInt.asUintN(xlen, satp) !== satp) {
    throw refuse(`satp = ${String(satp)}; expected an unsigned bigint of ${xlen} bits`);
  }
  const most = xlen === 64 ? 56 : 34;
  const { physBits = most } = known;
  if (!(Number.isInteger(physBits) && physBits >= 32 && physBits <= most)) {
    throw refuse(`physBits ${String(physBits)}; expected a whole number in [32, ${most}]`);
  }
  const { control } = resolveRiscvControl(known);
  if (!isKnownMode(control)) {
    throw refuse(`satp = ${hex(satp)}: MODE = ${satpMode(control)} is reserved`);
  }
  return control;
}
