import { hex, highHalf, joinHalves, lowHalf, PageTableError } from '../../bits/index.ts';
import {
  ACCESS_KINDS,
  type KnownRiscvControl,
  MENVCFG_ADUE,
  MENVCFG_PBMTE,
  type Paging,
  type RiscvControl,
  riscvPaging,
  SSTATUS_MXR,
  SSTATUS_SUM,
} from '../../format/index.ts';
import type { PhysicalMemory } from '../../memory/index.ts';
import { AccessPort } from '../access-port.ts';
import type { DetectorOptions } from '../detector.ts';
import { checkPolicy } from '../mmu-policy.ts';
import type { RiscvFault } from '../outcome.ts';
import { isKnownMode, RiscvState } from './control-state.ts';
import type { RiscvDetector } from './detector.ts';
import { RiscvMmu } from './mmu.ts';
import { fenceOf } from './sfence.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const USER = ACCESS_KINDS;

/** How a processor is made, and how it uses the freedom that the architecture leaves it. */
export interface RiscvCpuOptions {
  /**
   * What the TLB remembers. `'all'` (the default): everything, as long as the architecture allows, so that a forgotten fence
   * always shows. A number: so many translations, the oldest going first. `'none'`: nothing, each access walks afresh.
   */
  readonly caching?: 'all' | 'none' | number;
  /**
   * Whether entries that fault, because V = 0 or by something reserved, are remembered as well (the default): after such an
   * entry was made valid, accesses fault until a fence. `false`: as a processor with Svvptc.
   */
  readonly cachesInvalid?: boolean;
  /** Whether a detector watches for unsafe use of the tables, and how much it keeps; by default none does. */
  readonly detector?: boolean | DetectorOptions;
}

/** A privilege mode. Addresses of M-mode are physical. */
export type RiscvPrivilege = 'U' | 'S' | 'M';

/** Operands of SFENCE.VMA; one that is missing is x0. */
export interface SfenceOperands {
  /** rs1. */
  readonly address?: bigint;
  /** rs2, of which the bits that an ASID has not are passed over. */
  readonly asid?: bigint;
}

const PRIVILEGES: readonly RiscvPrivilege[] = ['U', 'S', 'M'];
const CSRS = ['satp', 'sstatus', 'menvcfg', 'menvcfgh', 'scause', 'stval'] as const;
type Csr = (typeof CSRS)[number];

/** The registers of a processor, and the instructions that write them and fence what it remembers. */
export abstract class RiscvSystem<Options = unknown> extends AccessPort<Options, RiscvFault> {
  override readonly memory: PhysicalMemory;
  /** Reports unsafe use of the tables, if that was asked for. */
  override readonly detector: RiscvDetector | undefined;
  /** @internal */
  protected readonly state: RiscvState;
  /** @internal */
  protected override readonly mmu: RiscvMmu;
  private mode: RiscvPrivilege = 'S';

  /**
   * @param memory - physical memory
   * @param registers - those that are missing: RV64, satp = 0 (Bare), the rest as `resolveRiscvControl` assumes
   * @param options - policies
   * @throws {@link PageTableError} `BAD_ARGUMENT` for what are no registers, and for a reserved satp.MODE
   */
  constructor(memory: PhysicalMemory, registers: KnownRiscvControl = {}, options: RiscvCpuOptions = {}) {
    super();
    const { caching = 'all', cachesInvalid = true, detector = false } = options;
    checkPolicy('RiscvCpu', memory, caching, detector !== false);
    this.memory = memory;
    this.state = new RiscvState(registers);
    const watching = detector === true ? {} : detector === false ? undefined : detector;
    const policy = { caching, accessedDirty: true, detector: watching };
    this.mmu = new RiscvMmu(memory, this.state, policy, cachesInvalid);
    this.detector = this.mmu.detector;
  }

  // ---- registers

  /** Bits of a register: RV32 or RV64. */
  get xlen(): 32 | 64 {
    return this.state.registers.xlen;
  }

  /** satp. */
  get satp(): bigint {
    return this.state.registers.satp;
  }

  /** The current ASID: satp.ASID. */
  get asid(): number {
    return this.state.space;
  }

  /** scause: what the last exception was. */
  get scause(): bigint {
    return BigInt.asUintN(this.xlen, joinHalves(this.mmu.cause, this.mmu.causeHigh));
  }

  /** stval: the address of the last exception. */
  get stval(): bigint {
    return BigInt.asUintN(this.xlen, joinHalves(this.mmu.valueLow, this.mmu.valueHigh));
  }

  /** The current privilege mode. */
  get privilege(): RiscvPrivilege {
    return this.mode;
  }

  set privilege(mode: RiscvPrivilege) {
    if (!PRIVILEGES.includes(mode)) {
      throw new PageTableError('BAD_ARGUMENT', `privilege: ${String(mode)}; expected U, S or M`);
    }
    const changes = (mode === 'M') !== (this.mode === 'M');
    this.mode = mode;
    this.user = mode === 'U' ? USER : 0;
    if (changes) {
      this.state.setMachineMode(mode === 'M');
      this.mmu.renewFront();
    } else {
      this.mmu.touch();
    }
  }

  /** sstatus.SUM: whether S-mode may read and write what U-mode can. */
  get sum(): boolean {
    return this.state.registers.sum;
  }

  set sum(value: boolean) {
    if (value !== this.sum) this.adopt({ ...this.state.registers, sum: value === true });
  }

  /** sstatus.MXR: whether what can be executed can be read. */
  get mxr(): boolean {
    return this.state.registers.mxr;
  }

  set mxr(value: boolean) {
    if (value !== this.mxr) this.adopt({ ...this.state.registers, mxr: value === true });
  }

  /**
   * What the registers make of the page tables now, for walkers, explanations and lists.
   *
   * @throws {@link PageTableError} `PAGING_DISABLED` if satp.MODE is Bare
   */
  paging(): Paging {
    return riscvPaging(this.state.registers);
  }

  /**
   * CSRR.
   *
   * @param name - `satp`; `sstatus`, of which SUM and MXR are modelled and the others are 0; `menvcfg`, of which ADUE and PBMTE
   *   are; `menvcfgh`, which has them on RV32; `scause`; `stval`
   * @throws {@link PageTableError} `BAD_ARGUMENT` for any other
   */
  readCsr(name: string): bigint {
    const { sum, mxr, adue, svpbmt } = this.state.registers;
    const config = (adue ? MENVCFG_ADUE : 0n) | (svpbmt ? MENVCFG_PBMTE : 0n);
    switch (this.csrOf('readCsr', name)) {
      case 'satp':
        return this.satp;
      case 'sstatus':
        return (sum ? SSTATUS_SUM : 0n) | (mxr ? SSTATUS_MXR : 0n);
      case 'menvcfg':
        return BigInt.asUintN(this.xlen, config);
      case 'menvcfgh':
        return config >> 32n;
      case 'scause':
        return this.scause;
      case 'stval':
        return this.stval;
    }
  }

  /**
   * CSRW. It takes effect at once, and fences nothing. A reserved satp.MODE leaves satp as it is.
   *
   * @param name - see {@link readCsr}
   * @param value - unsigned, as many bits as registers have
   * @throws {@link PageTableError} `BAD_ARGUMENT` for another name; `OUT_OF_RANGE` for a value that is no register's
   */
  writeCsr(name: string, value: bigint): void {
    const csr = this.csrOf('writeCsr', name);
    this.checkValue(`writeCsr: ${name}`, value);
    const { registers } = this.state;
    switch (csr) {
      case 'satp': {
        const next = { ...registers, satp: value };
        if (isKnownMode(next)) this.adopt(next);
        return;
      }
      case 'sstatus':
        this.adopt({ ...registers, sum: (value & SSTATUS_SUM) !== 0n, mxr: (value & SSTATUS_MXR) !== 0n });
        return;
      case 'menvcfg':
      case 'menvcfgh': {
        if (csr === 'menvcfg' && this.xlen === 32) return;
        const config = csr === 'menvcfg' ? value : value << 32n;
        // Svpbmt is of the formats of RV64.
        const svpbmt = this.xlen === 64 && (config & MENVCFG_PBMTE) !== 0n;
        this.adopt({ ...registers, adue: (config & MENVCFG_ADUE) !== 0n, svpbmt });
        return;
      }
      case 'scause':
        this.mmu.cause = lowHalf(value);
        this.mmu.causeHigh = highHalf(value);
        return;
      case 'stval':
        this.mmu.valueLow = lowHalf(value);
        this.mmu.valueHigh = highHalf(value);
    }
  }

  private csrOf(operation: string, name: string): Csr {
    const found = CSRS.find((csr) => csr === name);
    // RV64 has no upper half of its own.
    if (found !== undefined && !(found === 'menvcfgh' && this.xlen === 64)) return found;
    const names = CSRS.filter((csr) => csr !== 'menvcfgh' || this.xlen === 32).join(', ');
    throw new PageTableError('BAD_ARGUMENT', `${operation}: ${name}; expected ${names}`);
  }

  private checkValue(operation: string, value: bigint): void {
    const { xlen } = this;
    if (typeof value !== 'bigint') {
      throw new PageTableError('BAD_ARGUMENT', `${operation}: ${String(value)}; expected a bigint`);
    }
    if (BigInt.asUintN(xlen, value) !== value) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${operation}: ${hex(value)}; expected an unsigned ${xlen}-bit value`,
        { value },
      );
    }
  }

  private adopt(next: RiscvControl): void {
    this.state.adopt(next);
    this.mmu.renewFront();
  }

  // ---- instructions

  /**
   * SFENCE.VMA. Without an address it removes all that is remembered; with one, the pages of that address and entries there that
   * fault, and nothing that leads to tables. With an ASID it removes what belongs to it, and nothing global. An address that
   * is not sign-extended removes nothing.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` for operands that are no bigint, `OUT_OF_RANGE` for those that no register holds
   * @see RISC-V Privileged ISA, section "Supervisor Memory-Management Fence Instruction"
   */
  sfenceVma({ address, asid }: SfenceOperands = {}): void {
    if (address !== undefined) this.checkValue('sfenceVma: address', address);
    if (asid !== undefined) this.checkValue('sfenceVma: asid', asid);
    // As many bits as there are spaces.
    const space = asid === undefined ? undefined : Number(asid & BigInt(this.state.global - 1));
    this.mmu.fence(fenceOf(address, space));
  }

  /** @internal RV32 has addresses of 32 bits. */
  protected override highOf(high: number): number {
    return high & this.state.highMask;
  }
}
