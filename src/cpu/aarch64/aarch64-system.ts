import { hex, highHalf, joinHalves, lowHalf, PageTableError } from '../../bits/index.ts';
import {
  ACCESS_KINDS,
  aarch64Paging,
  type Half,
  type KnownAarch64Control,
  type Paging,
  READ,
  WRITE,
} from '../../format/index.ts';
import type { PhysicalMemory } from '../../memory/index.ts';
import { AccessPort } from '../access-port.ts';
import { checkPolicy } from '../mmu-policy.ts';
import type { Aarch64Fault } from '../outcome.ts';
import { checkRegister } from '../register-value.ts';
import { Aarch64State, type Registers } from './control-state.ts';
import { Aarch64Mmu } from './mmu.ts';
import { decodeTlbi } from './tlbi.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const USER = ACCESS_KINDS;

/** How a processor is made, and how it uses the freedom that the architecture leaves it. */
export interface Aarch64CpuOptions {
  /**
   * What the TLB remembers. `'all'` (the default): everything, as long as the architecture allows, so that a forgotten
   * invalidation always shows. A number: so many translations, the oldest going first. `'none'`: nothing, each access walks
   * afresh.
   */
  readonly caching?: 'all' | 'none' | number;
}

/** AT instructions of the EL1&0 regime. */
export type AtOperation = 'S1E1R' | 'S1E1W' | 'S1E0R' | 'S1E0W' | 'S1E1RP' | 'S1E1WP';

/** Each as an access, and whether PSTATE.PAN counts. */
const AT_OPERATIONS: Readonly<Record<AtOperation, { readonly access: number; readonly obeysPan: boolean }>> =
  {
    S1E1R: { access: READ, obeysPan: false },
    S1E1W: { access: WRITE, obeysPan: false },
    S1E0R: { access: READ + USER, obeysPan: false },
    S1E0W: { access: WRITE + USER, obeysPan: false },
    S1E1RP: { access: READ, obeysPan: true },
    S1E1WP: { access: WRITE, obeysPan: true },
  };

/** The registers that translation depends on, by the manual's names. */
const CONTROL = {
  TTBR0_EL1: 'ttbr0',
  TTBR1_EL1: 'ttbr1',
  TCR_EL1: 'tcr',
  MAIR_EL1: 'mair',
  SCTLR_EL1: 'sctlr',
} as const;
const OTHERS = ['ESR_EL1', 'FAR_EL1', 'PAR_EL1'] as const;

/** Barriers that wait for everything, TLBI instructions too; those for loads or stores alone do not. */
const DSB_OF_ALL = /^DSB( (SY|ISH|OSH|NSH))?$/;
const BARRIER = /^((DSB|DMB)( (SY|ISH|OSH|NSH|ST|LD|ISHST|ISHLD|OSHST|OSHLD|NSHST|NSHLD))?|ISB( SY)?)$/;

// PAR_EL1.
const PAR_FAULT = 1n;
/** NS, which is 1 outside Secure state, and bit 11, which is RES1. */
const PAR_FIXED = 0xa00n;
const PAR_RES1 = 0x800n;
const OUTER_SHAREABLE = 2;
const NON_CACHEABLE = [0x40, 0x44];

/** The registers of a processor, and the instructions that write them, invalidate what it remembers, and ask for translations. */
export abstract class Aarch64System<Options = unknown> extends AccessPort<Options, Aarch64Fault> {
  override readonly memory: PhysicalMemory;
  /** @internal */
  override readonly detector = undefined;
  /** @internal */
  protected readonly state: Aarch64State;
  /** @internal */
  protected override readonly mmu: Aarch64Mmu;
  private level: 0 | 1 = 1;
  // Bits 63:32 that software has written.
  private syndromeHigh = 0;
  private parValue = 0n;

  /**
   * @param memory - physical memory
   * @param registers - those that are missing select two halves of 48 bits with the 4-KiB granule and 48-bit output
   *   addresses, TTBR0 = TTBR1 = 0, and normal write-back memory for each AttrIndx. See `resolveAarch64Control`
   * @param options - policies
   * @throws {@link PageTableError} `BAD_ARGUMENT` for what are no registers, or ask for what is not modelled
   */
  constructor(memory: PhysicalMemory, registers: KnownAarch64Control = {}, options: Aarch64CpuOptions = {}) {
    super();
    const { caching = 'all' } = options;
    checkPolicy('Aarch64Cpu', memory, caching, false);
    this.memory = memory;
    this.state = new Aarch64State(registers);
    this.mmu = new Aarch64Mmu(memory, this.state, { caching, accessedDirty: true, detector: undefined });
    this.mmu.excused = !this.state.registers.pan;
  }

  // ---- registers

  /** TTBR0_EL1. */
  get ttbr0(): bigint {
    return this.state.registers.ttbr0;
  }

  /** TTBR1_EL1. */
  get ttbr1(): bigint {
    return this.state.registers.ttbr1;
  }

  /** TCR_EL1. */
  get tcr(): bigint {
    return this.state.registers.tcr;
  }

  /** MAIR_EL1. */
  get mair(): bigint {
    return this.state.registers.mair;
  }

  /** SCTLR_EL1. */
  get sctlr(): bigint {
    return this.state.registers.sctlr;
  }

  /** ESR_EL1: what the last exception was. */
  get esr(): bigint {
    return joinHalves(this.mmu.syndrome, this.syndromeHigh);
  }

  /** FAR_EL1: the address of the last exception, with its tag. */
  get far(): bigint {
    return joinHalves(this.mmu.faultLow, this.mmu.faultHigh);
  }

  /** PAR_EL1: the result of the last AT instruction. */
  get par(): bigint {
    return this.parValue;
  }

  /** The current exception level; 0 is that of applications. */
  get el(): 0 | 1 {
    return this.level;
  }

  set el(level: 0 | 1) {
    if (level !== 0 && level !== 1) {
      throw new PageTableError('BAD_ARGUMENT', `el: ${String(level)}; expected 0 or 1`);
    }
    this.level = level;
    this.user = level === 0 ? USER : 0;
    this.mmu.isUser = level === 0;
    this.mmu.touch();
  }

  /** PSTATE.PAN: whether EL1 may not access what EL0 can. */
  get pan(): boolean {
    return !this.mmu.excused;
  }

  set pan(value: boolean) {
    if (value === this.pan) return;
    this.state.registers = { ...this.state.registers, pan: value };
    this.mmu.excused = !value;
    this.mmu.renewFront();
  }

  /** The current ASID. */
  get asid(): number {
    return this.state.space;
  }

  /**
   * What the registers make of the page tables of one half now, for walkers, explanations and lists.
   *
   * @returns `undefined` if TCR_EL1.EPDn = 1
   * @throws {@link PageTableError} `PAGING_DISABLED` while translation is off; `BAD_ARGUMENT` for a granule or a size that no
   *   walk can be made with
   */
  paging(half: Half): Paging | undefined {
    return aarch64Paging(this.state.registers, half);
  }

  /**
   * MRS.
   *
   * @param name - `TTBR0_EL1`, `TTBR1_EL1`, `TCR_EL1`, `MAIR_EL1`, `SCTLR_EL1`, `ESR_EL1`, `FAR_EL1` or `PAR_EL1`
   * @throws {@link PageTableError} `BAD_ARGUMENT` for any other
   */
  readSystemRegister(name: string): bigint {
    if (isControl(name)) return this.state.registers[CONTROL[name]];
    if (name === 'ESR_EL1') return this.esr;
    if (name === 'FAR_EL1') return this.far;
    if (name === 'PAR_EL1') return this.par;
    throw unknownRegister('readSystemRegister', name);
  }

  /**
   * MSR. It takes effect at once, and invalidates nothing.
   *
   * @param name - see {@link readSystemRegister}
   * @param value - 64 bits, unsigned
   * @throws {@link PageTableError} `BAD_ARGUMENT` for another name, and where the value asks for what is not modelled;
   *   `OUT_OF_RANGE` if it is no unsigned 64-bit value. Nothing has changed then
   */
  writeSystemRegister(name: string, value: bigint): void {
    checkRegister(`writeSystemRegister: ${name}`, value);
    if (isControl(name)) {
      this.adopt({ ...this.state.registers, [CONTROL[name]]: value });
    } else if (name === 'ESR_EL1') {
      this.mmu.syndrome = lowHalf(value);
      this.syndromeHigh = highHalf(value);
    } else if (name === 'FAR_EL1') {
      this.mmu.faultLow = lowHalf(value);
      this.mmu.faultHigh = highHalf(value);
    } else if (name === 'PAR_EL1') {
      this.parValue = value;
    } else {
      throw unknownRegister('writeSystemRegister', name);
    }
  }

  private adopt(next: Registers): void {
    this.state.adopt(next);
    this.mmu.renewFront();
  }

  // ---- instructions

  /**
   * TLBI. What it invalidates is gone for certain after the next DSB, as the architecture has it; until then it is still
   * used, since it may be.
   *
   * @param operation - `VMALLE1`, `ASIDE1`, `VAE1`, `VALE1`, `VAAE1`, `VAALE1`, `RVAE1`, `RVALE1`, `RVAAE1` or `RVAALE1`; also
   *   with `IS` or `OS`, which is the same here
   * @param operand - the register that it takes, with ASID, address, TTL or range
   * @throws {@link PageTableError} `BAD_ARGUMENT` for another operation; `OUT_OF_RANGE` for an operand that is no unsigned
   *   64-bit value
   * @see Arm ARM (DDI 0487), section "TLB maintenance instructions"
   */
  tlbi(operation: string, operand = 0n): void {
    this.mmu.invalidate(decodeTlbi(operation, operand));
  }

  /**
   * A barrier. `DSB` of loads and stores waits for TLBI instructions; `DSB ISHST` and its like, `DMB` and `ISB` do not.
   *
   * @param kind - `DSB ISH`, `ISB`, …
   * @throws {@link PageTableError} `BAD_ARGUMENT` for what is no barrier
   */
  barrier(kind: string): void {
    if (!BARRIER.test(kind)) {
      throw new PageTableError('BAD_ARGUMENT', `barrier: ${kind}; expected DSB, DMB or ISB, such as DSB ISH`);
    }
    if (DSB_OF_ALL.test(kind)) this.mmu.complete();
  }

  /**
   * AT: translates an address as an access would, without the access. It sets AF where hardware does, and nothing dirty.
   *
   * @param operation - for reads or writes, by EL1 or EL0; those with P obey PSTATE.PAN
   * @param address - 64 bits, unsigned
   * @returns PAR_EL1
   * @throws {@link PageTableError} `BAD_ARGUMENT` for another operation; `OUT_OF_RANGE` for what is no address;
   *   `NOT_IN_MEMORY` if a table is where no memory is, an external abort
   * @see Arm ARM (DDI 0487), "PAR_EL1, Physical Address Register"
   */
  at(operation: AtOperation, address: bigint): bigint {
    const known = Object.hasOwn(AT_OPERATIONS, operation) ? AT_OPERATIONS[operation] : undefined;
    if (known === undefined) {
      const names = Object.keys(AT_OPERATIONS).join(', ');
      throw new PageTableError('BAD_ARGUMENT', `at: ${String(operation)}; expected ${names}`);
    }
    checkRegister('at', address);
    const { mmu } = this;
    const excused = !known.obeysPan || mmu.excused;
    if (mmu.ask(highHalf(address), lowHalf(address), known.access, excused)) {
      const attribute = mmu.lastAttribute;
      const isShared = attribute >>> 4 === 0 || NON_CACHEABLE.includes(attribute);
      const shareability = isShared ? OUTER_SHAREABLE : mmu.lastShareability;
      this.parValue =
        (BigInt(attribute) << 56n) |
        (BigInt(mmu.lastFrame) << 12n) |
        PAR_FIXED |
        (BigInt(shareability) << 7n);
    } else {
      const failure = mmu.failed.describe();
      if (failure.kind === 'absent') {
        throw new PageTableError(
          'NOT_IN_MEMORY',
          `at: there is no table at physical address ${hex(failure.address)}`,
          { address: failure.address },
        );
      }
      this.parValue = PAR_RES1 | (BigInt(mmu.failed.status) << 1n) | PAR_FAULT;
    }
    return this.parValue;
  }

  /** @internal All addresses have 64 bits. */
  protected override highOf(high: number): number {
    return high;
  }
}

function isControl(name: string): name is keyof typeof CONTROL {
  return Object.hasOwn(CONTROL, name);
}

function unknownRegister(operation: string, name: string): PageTableError {
  const names = [...Object.keys(CONTROL), ...OTHERS].join(', ');
  return new PageTableError('BAD_ARGUMENT', `${operation}: ${name}; expected ${names}`);
}
