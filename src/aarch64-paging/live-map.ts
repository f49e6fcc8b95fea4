import { hex, PageTableError } from '../bits/index.ts';
import { type Regime, Seed, type VaRange } from './regime.ts';
import { type MapOptions, TableMap } from './table-map.ts';
import type { Translation } from './target-allocator.ts';

/** What a register is said to have held where there is no processor. */
const NO_REGISTER = (1n << 64n) - 1n;

/** A map that can be active: used by a processor. While it is, changes are held against break-before-make. */
export abstract class LiveMap<R extends Regime> extends TableMap<R> {
  private readonly id: number | undefined;
  /** What the register held before `activate`, in the shape of 0.5. */
  private previous: bigint | undefined;

  /** @internal */
  constructor(
    translation: Translation,
    asid: number | undefined,
    level: number,
    regime: R,
    range: VaRange,
    options?: MapOptions,
  ) {
    if (asid !== undefined && !(Number.isInteger(asid) && asid >= 0 && asid < 0x1_0000)) {
      throw new PageTableError('OUT_OF_RANGE', `ASID ${asid}; expected a whole number of 16 bits`, { asid });
    }
    super(translation, level, regime, range, options);
    this.id = asid;
  }

  /** Its address space identifier; `undefined` in a regime that has none. */
  asid(): number | undefined {
    return this.id;
  }

  /** Whether it is active. */
  active(): boolean {
    return this.activeCount !== 0;
  }

  /**
   * Makes the processor use it: writes its root and ASID to the translation table base register. Without a processor, it is
   * only marked active.
   *
   * @returns what the register held before; for a map of a regime, which may be active on several processors
   * @throws {@link PageTableError} `BAD_ARGUMENT` in the shape of 0.5, if it is active
   */
  activate(): R extends Seed ? void : bigint {
    return this.start() as never;
  }

  /**
   * Makes the processor use what it used before, and forget translations of this map.
   *
   * @param previous - what `activate` returned; not in the shape of 0.5, which keeps it
   * @throws {@link PageTableError} `BAD_ARGUMENT` if it is not active; for EL2 and EL3, if there is a processor
   */
  deactivate(previous?: R extends Seed ? undefined : bigint): void {
    this.stop(previous);
  }

  /** Says that it is active: a processor uses it that was told otherwise. */
  markActive(): void {
    if (this.isSeed()) {
      if (this.active()) throw this.wrongState('active already');
      this.previous = NO_REGISTER;
    }
    this.activeCount += 1;
  }

  /**
   * Says that it is not active any more, as {@link markActive} says that it is.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` if it is not active
   */
  markInactive(): void {
    if (!this.active()) throw this.wrongState('not active (underflow in active count)');
    this.activeCount -= 1;
    this.previous = undefined;
  }

  /**
   * Frees all tables: what is below first, the root last. A map in the shape of 0.5 is deactivated before.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` if a map of a regime is active
   */
  override free(): void {
    if (this.active()) {
      if (!this.isSeed())
        throw this.wrongState('active; dropping it would take its tables away from the processor');
      this.stop(undefined);
    }
    super.free();
  }

  /** The original's debug text: all entries of all tables. */
  override toString(): string {
    const state = this.isSeed()
      ? `previous_ttbr: ${this.previous === undefined ? 'None' : `Some(${this.previous})`}`
      : `active_count: ${this.activeCount}`;
    return `Mapping { root: ${super.toString()}, asid: ${this.id ?? '()'}, ${state} }`;
  }

  private start(): bigint | undefined {
    const { processor } = this;
    this.change('activate', undefined, () => undefined);
    if (this.isSeed() && this.active()) throw this.wrongState('active already');
    const waits = this.behaviour['stores-before-invalidation'];
    if (!this.isSeed()) this.markActive();
    // A DMB orders stores before each other; only a DSB has them seen by walks of tables.
    if (waits || !this.isSeed()) {
      processor?.barrier(waits ? 'DSB ISHST' : 'DMB ISHST');
      processor?.barrier('ISB');
    }
    const previous = this.switchTo(this.rootAddress().value | (BigInt(this.id ?? 0) << 48n));
    if (!this.isSeed()) return previous;
    this.previous = previous;
    this.activeCount = 1;
    return undefined;
  }

  private stop(given: bigint | undefined): void {
    const { processor } = this;
    this.change('deactivate', undefined, () => undefined);
    if (!this.active()) throw this.wrongState('not active');
    if (processor !== undefined) {
      const previous = this.isSeed() ? this.previous : given;
      if (previous === undefined)
        throw this.wrongState('active on a processor, and what activate returned was not given');
      const stage2 = this.regime.name === 'Stage2';
      if (!stage2 && this.id === undefined) {
        throw this.wrongState(`${this.regime.suffix} page table, which can't safely be deactivated`);
      }
      if (stage2) this.forget('VMALLS12E1');
      this.switchTo(previous);
      if (!stage2) this.forget('ASIDE1', BigInt(this.id ?? 0) << 48n);
    }
    this.markInactive();
  }

  /** Writes the register, and returns what it held. */
  private switchTo(value: bigint): bigint {
    const { processor, regime } = this;
    if (processor === undefined) return NO_REGISTER;
    const name =
      regime.name === 'Stage2' ? 'VTTBR_EL2' : `TTBR${this.range === 'Upper' ? 1 : 0}_${regime.suffix}`;
    const previous = processor.readSystemRegister(name);
    processor.writeSystemRegister(name, value);
    processor.barrier('ISB');
    return previous;
  }

  private forget(operation: string, operand?: bigint): void {
    this.processor?.tlbi(operation, operand);
    this.processor?.barrier('DSB NSH');
    this.processor?.barrier('ISB');
  }

  private isSeed(): boolean {
    return (this.regime as Regime) === Seed;
  }

  private wrongState(what: string): PageTableError {
    const root = hex(this.rootAddress().value);
    return new PageTableError('BAD_ARGUMENT', `the map with its root at ${root} is ${what}`);
  }
}
