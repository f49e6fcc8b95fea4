import { FRAME_BYTES, PageTableError, pageOf } from '../bits/index.ts';
import type { FixedTableOps, MovableTableOps } from '../memory/index.ts';

const ENTRY_BYTES = 8;
const OFFSET_MASK = 0xfffn;

/**
 * Operations on tables of which some must not be changed, those of a snapshot: such a table is copied when it is first written to in a call, and
 * all that leads to it follows, up to the root. The tables that were there stay as they are.
 *
 * A table that a call of `map` writes to twice is copied once: after the first time, the call's accesses to it go to the copy.
 */
export class CopyOnWriteTableOps<A> implements MovableTableOps<A> {
  readonly tableMovability = 'MayMoveTable';
  private readonly inner: FixedTableOps<A>;
  private readonly isFrozen: (table: bigint) => boolean;
  private root: A;
  /** Copies made in this call, by the frame of the original. */
  private readonly copies = new Map<number, A>();

  /**
   * @param inner - where the tables are, and where copies of them go
   * @param isFrozen - whether the table at a physical byte address must not be changed. What `inner.allocTable` gives is not asked about,
   *   except in later calls
   */
  constructor(inner: FixedTableOps<A>, isFrozen: (table: bigint) => boolean) {
    if (inner.tableMovability !== 'MayNotMoveTable' || typeof isFrozen !== 'function') {
      throw new PageTableError(
        'BAD_ARGUMENT',
        'CopyOnWriteTableOps: expected operations on tables that do not move, and a function that tells which are frozen',
      );
    }
    this.inner = inner;
    this.isFrozen = isFrozen;
    this.root = inner.rootTable();
  }

  entryAddr(addr: A, entryOffset: bigint): A {
    return this.inner.entryAddr(addr, entryOffset);
  }

  readEntry(addr: A): bigint {
    return this.inner.readEntry(this.redirected(addr));
  }

  toPhys(addr: A): bigint {
    return this.inner.toPhys(addr);
  }

  fromPhys(phys: bigint): A {
    return this.inner.fromPhys(phys);
  }

  /** The root as it is now. A call asks for it once, at its beginning. */
  rootTable(): A {
    this.copies.clear();
    return this.root;
  }

  allocTable(): A {
    return this.inner.allocTable();
  }

  writeEntry(addr: A, entry: bigint): A | undefined {
    const { inner } = this;
    const target = this.redirected(addr);
    const phys = inner.toPhys(target);
    const base = phys & ~OFFSET_MASK;
    if (target !== addr || !this.isFrozen(base)) {
      inner.writeEntry(target, entry);
      return undefined;
    }
    const copy = inner.allocTable();
    const original = inner.fromPhys(base);
    for (let offset = 0; offset < FRAME_BYTES; offset += ENTRY_BYTES) {
      const old = inner.readEntry(inner.entryAddr(original, BigInt(offset)));
      if (old !== 0n) inner.writeEntry(inner.entryAddr(copy, BigInt(offset)), old);
    }
    inner.writeEntry(inner.entryAddr(copy, phys & OFFSET_MASK), entry);
    this.copies.set(pageOf(base), copy);
    return copy;
  }

  updateRoot(table: A): void {
    this.root = table;
  }

  /** The address in the copy, if the table has one. */
  private redirected(addr: A): A {
    if (this.copies.size === 0) return addr;
    const phys = this.inner.toPhys(addr);
    const copy = this.copies.get(pageOf(phys));
    return copy === undefined ? addr : this.inner.entryAddr(copy, phys & OFFSET_MASK);
  }
}
