import { hex, highHalf, joinHalves, lowHalf, PageTableError } from '../../bits/index.ts';
import {
  ACCESS_KINDS,
  CR4_PCIDE,
  type FormatFact,
  type KnownX86Control,
  type Paging,
  type X86Control,
  x86Paging,
} from '../../format/index.ts';
import type { PhysicalMemory } from '../../memory/index.ts';
import { AccessPort } from '../access-port.ts';
import type { DetectorOptions } from '../detector.ts';
import { checkPolicy } from '../mmu-policy.ts';
import type { Remembered } from '../origin.ts';
import type { X86Fault } from '../outcome.ts';
import { checkRegister } from '../register-value.ts';
import { ControlState } from './control-state.ts';
import type { X86Detector } from './detector.ts';
import { Mmu } from './mmu.ts';
import {
  type Flush,
  flushOfCr0,
  flushOfCr4,
  loadsPdptes,
  refusedCr0,
  refusedCr3,
  refusedCr4,
  refusedEfer,
  storedCr0,
  storedEfer,
} from './registers.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const USER = ACCESS_KINDS;
const BIT_63 = 1n << 63n;
const MAX_PCID = 0xfff;

/** How a processor is made, and how it uses the freedom that the architecture leaves it. */
export interface X86CpuOptions {
  /** The paging mode, where the registers that are given do not say it. */
  readonly mode?: FormatFact;
  /**
   * What the TLB and the paging-structure caches remember. `'all'` (the default): everything, as long as the architecture
   * allows, so that a forgotten invalidation always shows. A number: so many translations, the oldest going first.
   * `'none'`: nothing, each access walks afresh.
   */
  readonly caching?: 'all' | 'none' | number;
  /** Whether walks set accessed and dirty bits; by default they do. */
  readonly accessedDirty?: boolean;
  /** Whether a detector watches for unsafe use of the tables, and how much it keeps; by default none does. */
  readonly detector?: boolean | DetectorOptions;
}

/** Privilege levels. */
export type Cpl = 0 | 1 | 2 | 3;

/** The registers of a processor, and the instructions that write them and invalidate what it remembers. */
export abstract class X86System<Options = unknown> extends AccessPort<Options, X86Fault> {
  override readonly memory: PhysicalMemory;
  override readonly detector: X86Detector | undefined;
  /** @internal */
  protected readonly state: ControlState;
  /** @internal */
  protected override readonly mmu: Mmu;
  private level: Cpl = 0;

  /**
   * @param memory - physical memory
   * @param registers - control registers; those that are missing select 4-level paging with WP, NXE, PGE and PSE, and
   *   CR3 = 0. See `resolveX86Control`
   * @param options - mode and policies
   * @throws {@link PageTableError} `BAD_ARGUMENT` for registers that no processor takes
   */
  constructor(memory: PhysicalMemory, registers: KnownX86Control = {}, options: X86CpuOptions = {}) {
    const { mode, caching = 'all', accessedDirty = true, detector = false } = options;
    checkPolicy('X86Cpu', memory, caching, detector !== false);
    super();
    this.memory = memory;
    this.state = new ControlState(memory, registers, mode);
    const watching = detector === true ? {} : detector === false ? undefined : detector;
    this.mmu = new Mmu(memory, this.state, { caching, accessedDirty, detector: watching });
    this.detector = this.mmu.detector;
  }

  // ---- registers

  /** CR0. */
  get cr0(): bigint {
    return this.state.control.cr0;
  }

  /** The linear address of the last page fault. */
  get cr2(): bigint {
    return joinHalves(this.mmu.cr2Low, this.mmu.cr2High);
  }

  /** CR3; bit 63 is never set. */
  get cr3(): bigint {
    return this.state.control.cr3;
  }

  /** CR4. */
  get cr4(): bigint {
    return this.state.control.cr4;
  }

  /** IA32_EFER. */
  get efer(): bigint {
    return this.state.control.efer;
  }

  /** PKRU. */
  get pkru(): bigint {
    return this.state.control.pkru;
  }

  /** IA32_PKRS. */
  get pkrs(): bigint {
    return this.state.control.pkrs;
  }

  /** The current privilege level; 3 is user mode. */
  get cpl(): Cpl {
    return this.level;
  }

  set cpl(level: Cpl) {
    if (![0, 1, 2, 3].includes(level)) {
      throw new PageTableError('BAD_ARGUMENT', `cpl: ${String(level)}; expected 0 to 3`);
    }
    this.level = level;
    this.user = level === 3 ? USER : 0;
    this.mmu.touch();
  }

  /** RFLAGS.AC: whether supervisor accesses to user pages are excused from SMAP. */
  get ac(): boolean {
    return this.mmu.excused;
  }

  set ac(value: boolean) {
    if (value === this.mmu.excused) return;
    this.mmu.excused = value;
    if (this.state.rights.smap) this.mmu.renewFront();
  }

  /** Levels of the page tables; 0 while paging is off. */
  get levels(): number {
    return this.state.format?.levels ?? 0;
  }

  /** Frame of the root table; `undefined` while paging is off. */
  get rootFrame(): number | undefined {
    return this.state.format === undefined ? undefined : this.state.root.frame;
  }

  /**
   * What the registers make of page tables now, for walkers, explanations and lists.
   *
   * @throws {@link PageTableError} `PAGING_DISABLED` while paging is off
   */
  paging(): Paging {
    return x86Paging(this.state.control);
  }

  /** MOV to CR2. */
  writeCr2(value: bigint): X86Fault | undefined {
    checkRegister('writeCr2', value);
    if (this.level === 0) {
      this.mmu.cr2High = highHalf(value);
      this.mmu.cr2Low = lowHalf(value);
    }
    return this.privileged(undefined);
  }

  /** MOV to CR0. Turning paging off forgets everything. */
  writeCr0(value: bigint): X86Fault | undefined {
    checkRegister('writeCr0', value);
    const { control } = this.state;
    const cr0 = storedCr0(value);
    const next = { ...control, cr0, efer: storedEfer(control.efer, cr0) };
    return this.change(refusedCr0(control, value), next, flushOfCr0(control.cr0, cr0));
  }

  /**
   * MOV to CR3. Forgets all translations of the PCID that it names, save global ones; with CR4.PCIDE = 1, bit 63 of the
   * value keeps them.
   */
  writeCr3(value: bigint): X86Fault | undefined {
    checkRegister('writeCr3', value);
    const { control } = this.state;
    const keeps = (control.cr4 & CR4_PCIDE) !== 0n && (value & BIT_63) !== 0n;
    const cr3 = keeps ? value & ~BIT_63 : value;
    const refused = refusedCr3(control, value, control.physBits);
    const fault = this.change(refused, { ...control, cr3 }, 'nothing', true);
    if (fault !== undefined) return fault;
    if (!keeps) this.mmu.invalidatePcid(this.state.space);
    if (this.detector !== undefined) {
      this.tell(`MOV to CR3 of ${hex(value)}`, keeps ? KEEPS_ALL : leftByPcid(this.state.space));
    }
    return undefined;
  }

  /** MOV to CR3 of the value that it holds: how software forgets everything that is not global. */
  reloadCr3(): X86Fault | undefined {
    if (this.state.pdptes !== undefined || this.level !== 0) return this.writeCr3(this.cr3);
    this.mmu.invalidatePcid(this.state.space);
    if (this.detector !== undefined) this.tell('MOV to CR3', leftByPcid(this.state.space));
    return undefined;
  }

  /** MOV to CR4. Forgets everything if PGE changes or PCIDE is turned off. */
  writeCr4(value: bigint): X86Fault | undefined {
    checkRegister('writeCr4', value);
    const { control } = this.state;
    const flush = flushOfCr4(control.cr4, value);
    const fault = this.change(refusedCr4(control, value), { ...control, cr4: value }, flush);
    if (fault === undefined && flush !== 'nothing' && this.detector !== undefined) {
      this.tell('MOV to CR4', leftByPcid(this.state.space));
    }
    return fault;
  }

  /** WRMSR to IA32_EFER. LMA is not written: it follows from LME and CR0.PG. */
  writeEfer(value: bigint): X86Fault | undefined {
    checkRegister('writeEfer', value);
    const { control } = this.state;
    const next = { ...control, efer: storedEfer(value, control.cr0) };
    return this.change(refusedEfer(control, value), next, 'nothing');
  }

  /** WRMSR to IA32_PKRS. */
  writePkrs(value: bigint): X86Fault | undefined {
    checkRegister('writePkrs', value);
    const refused = value >> 32n === 0n ? undefined : `PKRS = ${hex(value)}: bits 63:32 must be 0`;
    const fault = this.privileged(refused);
    if (fault === undefined) this.adoptKeys({ ...this.state.control, pkrs: value });
    return fault;
  }

  /**
   * WRPKRU, which is not privileged.
   *
   * @param value - 32 bits
   * @throws {@link PageTableError} `OUT_OF_RANGE` if it is wider
   */
  writePkru(value: bigint): void {
    checkRegister('writePkru', value);
    if (value < 0n || value >> 32n !== 0n) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `writePkru: ${hex(value)}; expected an unsigned 32-bit value`,
        { value },
      );
    }
    this.adoptKeys({ ...this.state.control, pkru: value });
  }

  // ---- invalidation

  /** INVLPG. An address that is not canonical does nothing. */
  invlpg(address: bigint): X86Fault | undefined {
    checkRegister('invlpg', address);
    return this.invalidate(highHalf(address), lowHalf(address));
  }

  /** INVLPG for an address in two halves. */
  invalidate(high: number, low: number): X86Fault | undefined {
    if (this.level !== 0) return this.privileged(undefined);
    this.mmu.invalidatePage(this.highOf(high), low);
    if (this.detector !== undefined) {
      this.tell(`INVLPG ${hex(joinHalves(low, this.highOf(high)))}`, leftByPage(this.state.space));
    }
    return undefined;
  }

  /**
   * INVPCID.
   *
   * @param type - 0: one address of a PCID; 1: a PCID; 2: everything, global translations too; 3: everything but those
   * @param pcid - for types 0 and 1
   * @param address - for type 0
   * @see Intel SDM vol. 2, "INVPCID - Invalidate Process-Context Identifier"
   */
  invpcid(type: number, pcid = 0, address = 0n): X86Fault | undefined {
    checkRegister('invpcid', address);
    const high = highHalf(address);
    const fault = this.privileged(this.refusedInvpcid(type, pcid, address));
    if (fault !== undefined) return fault;
    if (type === 0) {
      this.mmu.invalidatePageOf(pcid, high, lowHalf(address));
      this.tell(`INVPCID type 0 of ${hex(address)} for PCID ${pcid}`, leftByPage(pcid, true));
    } else if (type === 1) {
      this.mmu.invalidatePcid(pcid);
      this.tell(`INVPCID type 1 for PCID ${pcid}`, leftByPcid(pcid));
    } else if (type === 2) {
      this.mmu.invalidateAll();
    } else {
      this.mmu.invalidatePcids();
      this.tell('INVPCID type 3', () => KEEPS_GLOBAL);
    }
    return undefined;
  }

  private refusedInvpcid(type: number, pcid: number, address: bigint): string | undefined {
    if (!(Number.isInteger(type) && type >= 0 && type <= 3)) return `INVPCID type ${type}: there is none`;
    if (!(Number.isInteger(pcid) && pcid >= 0 && pcid <= MAX_PCID))
      return `INVPCID: PCID ${pcid} has more than 12 bits`;
    if (type < 2 && pcid !== 0 && (this.cr4 & CR4_PCIDE) === 0n)
      return 'INVPCID: a PCID other than 0 with CR4.PCIDE = 0';
    if (type === 0 && !this.state.isCanonical(highHalf(address))) return 'INVPCID: address not canonical';
    return undefined;
  }

  /** @internal Outside 64-bit mode linear addresses have 32 bits. */
  protected override highOf(high: number): number {
    return high & this.state.highMask;
  }

  /** Changes control registers, unless that is refused. */
  private change(
    refused: string | undefined,
    next: X86Control,
    flush: Flush,
    loads = loadsPdptes(this.state.control, next),
  ): X86Fault | undefined {
    const fault = this.privileged(refused);
    if (fault !== undefined) return fault;
    const failed = this.state.adopt(next, loads);
    if (failed !== undefined) return generalProtection(failed);
    if (flush === 'everything') this.mmu.invalidateAll();
    else if (flush === 'current PCID') this.mmu.invalidatePcidAndGlobals(this.state.space);
    else this.mmu.renewFront();
    return undefined;
  }

  /** Tells the detector of an invalidation. */
  private tell(instruction: string, left: (entry: Remembered) => string): void {
    this.detector?.invalidated(instruction, left);
  }

  private adoptKeys(next: X86Control): void {
    this.state.adoptKeys(next);
    this.mmu.renewFront();
  }

  /** The fault of a privileged instruction: above CPL 0, or for a reason of its own. */
  private privileged(refused: string | undefined): X86Fault | undefined {
    if (this.level !== 0) return generalProtection(`a privileged instruction at CPL ${this.level}`);
    return refused === undefined ? undefined : generalProtection(refused);
  }
}

const KEEPS_GLOBAL = 'keeps global translations';
const KEEPS_ALL = () => 'bit 63 keeps everything';

/** Why an invalidation of one PCID leaves an entry. */
function leftByPcid(pcid: number): (entry: Remembered) => string {
  return ({ space }) =>
    space > MAX_PCID ? KEEPS_GLOBAL : `is for PCID ${pcid}, and this belongs to PCID ${space}`;
}

/** Why an invalidation of one page leaves an entry. */
function leftByPage(pcid: number, keepsGlobal = false): (entry: Remembered) => string {
  return ({ space }) => {
    if (space > MAX_PCID) return keepsGlobal ? KEEPS_GLOBAL : 'is for another page';
    return space === pcid ? 'is for another page' : `is for PCID ${pcid}, and this belongs to PCID ${space}`;
  };
}

function generalProtection(reason: string): X86Fault {
  return {
    kind: 'fault',
    exception: '#GP',
    errorCode: 0,
    errorBits: [],
    address: undefined,
    cr2: undefined,
    because: [reason],
    fromCache: false,
  };
}
