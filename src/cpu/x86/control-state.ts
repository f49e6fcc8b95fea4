import { hex, PageTableError } from '../../bits/index.ts';
import { type UniformLevels, uniformLevels } from '../../format/compile.ts';
import {
  type CompiledFormat,
  CR0_PE,
  CR0_PG,
  CR4_LA57,
  CR4_PAE,
  CR4_PCIDE,
  denials,
  EFER_LME,
  entryOrder,
  type FormatFact,
  isFaultyTable,
  isPresent,
  type KnownX86Control,
  modeOf,
  type RightsControl,
  type Root,
  resolveX86Control,
  rightsControl,
  rootOf,
  tellsFetches,
  X86_FORMATS,
  type X86Control,
  x86Format,
} from '../../format/index.ts';
import { ABSENT, type PhysicalMemory } from '../../memory/index.ts';
import {
  isPaePaging,
  refusedCr0,
  refusedCr3,
  refusedCr4,
  refusedEfer,
  storedCr0,
  storedEfer,
} from './registers.ts';

/** Frames that are small integers. */
const NEAR_FRAMES = 2 ** 31;
/** Denials that nobody asked for yet. */
const UNKNOWN = 0xff;
/** Where denials of accesses begin that SMAP does not apply to: behind those of 128 kinds of pages and 8 of accesses. */
const EXCUSED = 1 << 10;

/** The control registers, and all that follows from them alone. Everything that changes them goes through {@link adopt}. */
export class ControlState {
  /** The registers. */
  control: X86Control;
  /** The format of the page tables; `undefined` while paging is off. */
  format: CompiledFormat | undefined;
  root: Root = { frame: 0, word: 0 };
  rights: RightsControl;
  /** Whether page faults tell fetches from reads. */
  fetches = false;
  /** Whether the format has protection keys; they are remembered even while nothing looks at them. */
  keys = false;
  /** The current process-context identifier. */
  space = 0;
  /** Bits 63:`32 + signShift` of a canonical address are all equal; -1 where addresses have 32 bits. */
  signShift = -1;
  /** -1 where addresses have 64 bits, otherwise 0: what bits 63:32 of an address are masked with. */
  highMask = 0;
  /** PAE paging: the four PDPTEs, which the processor keeps in registers, as pairs of halves. */
  pdptes: Int32Array | undefined;
  /** `log2` of the 4-KiB pages in each size of page that the format has, small ones first. */
  pageOrders: readonly number[] = [];
  /** The same that entries which lead to tables span. */
  tableOrders: readonly number[] = [];
  /** By depth: `log2` of the 4-KiB pages that an entry spans. */
  orders: readonly number[] = [];
  /** What the fast way through four levels checks of entries; `undefined` for other formats, and where frames are far. */
  uniform: UniformLevels | undefined;
  private levels: UniformLevels | undefined;
  /** Denials by case. */
  private readonly denied = new Uint8Array(2 * EXCUSED).fill(UNKNOWN);
  private readonly memory: PhysicalMemory;

  /**
   * @param memory - where PDPTEs are loaded from
   * @param known - registers; those that are missing are as `resolveX86Control` assumes, CR0.PE follows from PG and
   *   EFER.LMA from LME and PG
   * @param mode - the format, where the registers do not say it
   * @throws {@link PageTableError} `BAD_ARGUMENT` for values that no processor takes
   */
  constructor(memory: PhysicalMemory, known: KnownX86Control, mode: FormatFact | undefined) {
    this.memory = memory;
    const control = completed(known, mode);
    const given = (control.cr0 & CR0_PG) === 0n ? control.cr0 : control.cr0 | CR0_PE;
    const cr0 = storedCr0(given);
    const next = { ...control, cr0, efer: storedEfer(control.efer, cr0) };
    // As if they were written one by one, paging last; PCIDs need it, and CR3 as it then is.
    const off = { ...next, cr0: cr0 & ~CR0_PG, cr4: next.cr4 & ~CR4_PCIDE, efer: storedEfer(next.efer, 0n) };
    const refused =
      refusedCr4(off, off.cr4) ??
      refusedEfer(off, next.efer) ??
      refusedCr0(off, given) ??
      refusedCr4({ ...next, cr4: off.cr4, cr3: 0n }, next.cr4) ??
      refusedCr3({ ...next, cr4: off.cr4 }, next.cr3, next.physBits);
    if (refused !== undefined) {
      throw new PageTableError('BAD_ARGUMENT', `X86Cpu: no processor takes ${refused}`);
    }
    this.control = next;
    this.rights = rightsControl(next, false);
    const failed = this.adopt(next, true);
    if (failed !== undefined) throw new PageTableError('BAD_ARGUMENT', `X86Cpu: ${failed}`);
  }

  /**
   * Takes new registers over, which must have been checked.
   *
   * @param loads - whether PAE paging loads its PDPTE registers; it does in any case if it had none
   * @returns why the PDPTEs cannot be loaded; nothing has changed then
   */
  adopt(next: X86Control, loads: boolean): string | undefined {
    const before = this.control;
    const same =
      this.format !== undefined &&
      before.cr0 === next.cr0 &&
      before.cr4 === next.cr4 &&
      before.efer === next.efer;
    const fact = modeOf(next.cr0, next.cr4, next.efer);
    const format = same ? this.format : fact && x86Format(fact, next);
    if (format !== undefined && isPaePaging(next)) {
      const pdptes = loads || this.pdptes === undefined ? this.readPdptes(format, next) : this.pdptes;
      if (typeof pdptes === 'string') return pdptes;
      this.pdptes = pdptes;
    } else {
      this.pdptes = undefined;
    }
    this.control = next;
    this.format = format;
    const long = fact?.signExtended ?? false;
    if (fact !== undefined) this.root = rootOf(fact, next.cr3, next.physBits);
    // The fast way takes frames for small integers.
    const isNear = this.root.frame < NEAR_FRAMES && this.memory.first + this.memory.count <= NEAR_FRAMES;
    this.space = long && (next.cr4 & CR4_PCIDE) !== 0n ? Number(next.cr3 & 0xfffn) : 0;
    if (same) {
      this.uniform = isNear ? this.levels : undefined;
      return undefined;
    }
    this.levels = undefined;
    this.keys = long;
    this.rights = rightsControl(next, this.keys);
    this.denied.fill(UNKNOWN);
    this.fetches = tellsFetches(next);
    this.highMask = long ? -1 : 0;
    this.signShift = long && fact !== undefined ? fact.vaBits - 33 : -1;
    if (format !== undefined) {
      const depths = Array.from({ length: format.levels }, (_, depth) => depth);
      const leaves = depths.filter((depth) =>
        format.fact.levels[depth].entries.some(({ leads }) => leads === 'page'),
      );
      this.orders = depths.map((depth) => entryOrder(format.facts, depth));
      this.tableOrders = this.orders.slice(0, -1).reverse();
      this.pageOrders = leaves.map((depth) => this.orders[depth]).reverse();
      this.levels = uniformLevels(format);
    }
    this.uniform = isNear ? this.levels : undefined;
    return undefined;
  }

  /** Takes over the registers of protection keys, which change nothing but rights. */
  adoptKeys(next: X86Control): void {
    this.control = next;
    this.rights = rightsControl(next, this.keys);
    this.denied.fill(UNKNOWN);
  }

  /**
   * Why an access is refused, as `denials` says: each case is worked out once.
   *
   * @param page - what the entries say together, seven bits
   * @param access - index into `ACCESSES`
   * @param excused - whether SMAP does not apply
   */
  denials(page: number, access: number, excused: boolean): number {
    const at = page | (access << 7) | (excused ? EXCUSED : 0);
    const known = this.denied[at];
    return known === UNKNOWN ? this.workOut(at, page, access, excused) : known;
  }

  private workOut(at: number, page: number, access: number, excused: boolean): number {
    const found = denials(page, access, this.rights, excused);
    this.denied[at] = found;
    return found;
  }

  /** Depth of the tables to which entries lead that span `2 ** order` pages. */
  depthBelow(order: number): number {
    return this.orders.indexOf(order) + 1;
  }

  /** Whether an address of 64 bits can be translated at all. */
  isCanonical(high: number): boolean {
    if (this.signShift < 0) return true;
    const sign = high >> this.signShift;
    return sign === 0 || sign === -1;
  }

  /** Reads the PDPTEs, or says why they cannot be loaded. */
  private readPdptes(format: CompiledFormat, { cr3, physBits }: X86Control): Int32Array | string {
    const { frame, word } = rootOf(format.fact, cr3, physBits);
    this.memory.current();
    const base = this.memory.locate(frame);
    if (base === ABSENT) return `the PDPTEs at ${hex(cr3)} are not in memory`;
    const pdptes = new Int32Array(8);
    for (let index = 0; index < 4; index += 1) {
      const low = this.memory.loadEntry(base + word + 2 * index);
      const high = this.memory.high;
      if (isPresent(format.facts, 0, low) && isFaultyTable(format.facts, 0, low, high)) {
        return `PDPTE ${index} at ${hex(cr3)} has a reserved bit set`;
      }
      pdptes[2 * index] = low;
      pdptes[2 * index + 1] = high;
    }
    return pdptes;
  }
}

const NAMES: readonly string[] = [
  ...['cr0', 'cr3', 'cr4', 'efer', 'pat', 'pkru', 'pkrs'],
  ...['physBits', 'page1GB', 'pse36', 'amd'],
];

const WIDTHS = [
  ...(['cr0', 'cr3', 'cr4', 'efer', 'pat'] as const).map((name) => [name, 64] as const),
  ...(['pkru', 'pkrs'] as const).map((name) => [name, 32] as const),
];

/** Registers as given, completed with what `resolveX86Control` assumes. */
function completed(known: KnownX86Control, mode: FormatFact | undefined): X86Control {
  const stranger = Object.keys(known).find((name) => !NAMES.includes(name));
  if (stranger !== undefined) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `X86Cpu: register ${stranger}; expected some of ${NAMES.join(', ')}`,
    );
  }
  for (const [name, bits] of WIDTHS) {
    const value: unknown = known[name];
    if (value !== undefined && (typeof value !== 'bigint' || BigInt.asUintN(bits, value) !== value)) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `X86Cpu: ${name} = ${String(value)}; expected an unsigned bigint of ${bits} bits`,
      );
    }
  }
  const { physBits = 52, page1GB = true, pse36 = true } = known;
  if (!(Number.isInteger(physBits) && physBits >= 32 && physBits <= 52)) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `X86Cpu: physBits ${String(physBits)}; expected a whole number in [32, 52]`,
    );
  }
  if (mode !== undefined && !X86_FORMATS.includes(mode)) {
    const formats = X86_FORMATS.map(({ name }) => name).join(', ');
    throw new PageTableError(
      'BAD_ARGUMENT',
      `X86Cpu: mode ${String(mode)}; expected the format ${formats}, as FORMAT_PAE is`,
    );
  }
  // Long mode needs PAE: where that is known to be off, EFER.LME is.
  const isLegacy = known.cr4 !== undefined && (known.cr4 & CR4_PAE) === 0n;
  const { control } = resolveX86Control(known, isLegacy ? false : undefined, mode);
  for (const [name, bits] of MODE_BITS) {
    const given = known[name];
    if (given !== undefined && ((given ^ control[name]) & bits) !== 0n) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `X86Cpu: ${name.toUpperCase()} = ${hex(given)}; expected what selects ${mode?.name} paging, which mode asks for`,
      );
    }
  }
  // What CPUID tells does not depend on the mode in which a processor starts.
  return { ...control, physBits, page1GB, pse36 };
}

/** The bits that choose a paging mode. */
const MODE_BITS = [
  ['cr0', CR0_PG],
  ['cr4', CR4_PAE | CR4_LA57],
  ['efer', EFER_LME],
] as const;
