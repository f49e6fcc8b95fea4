import { FRAME_BYTES, pageOf } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import type { FixedTableOps, MovableTableOps } from '../memory/index.ts';

const ENTRY_BYTES = 8;
const OFFSET_MASK = 0xfffn;

/**
 * Operations on tables of which some must not be changed, those of a snapshot: such a table is copied when it is first written to in a call, and
 * all that leads to it follows, up to the root. The tables that were there stay as they are.
 *
 * A table that a call of `map` writes to twice is copied once: what it writes after the first time goes to the copy. A call begins with
 * {@link rootTable}.
 */
export class CopyOnWriteTableOps<A> implements MovableTableOps<A> {
  readonly tableMovability = 'MayMoveTable';
  private readonly inner: FixedTableOps<A>;
  private readonly isFrozen: (table: bigint) => boolean;
  private root: A;
  /** Copies made in this call, by the frame of the original. */
  private readonly copies = new Map<number, A>();
  /** Frames of the tables made in this call. */
  private readonly made = new Set<number>();

  /**
   * @param inner - where the tables are, and where copies of them go
   * @param isFrozen - whether the table at a physical byte address must not be changed. It is not asked about tables that the same call has made
   * @throws {@link PageTableError} `BAD_ARGUMENT`
   */
  constructor(inner: FixedTableOps<A>, isFrozen: (table: bigint) => boolean) {
    if (inner?.tableMovability !== 'MayNotMoveTable') {
      throw wrongKind('CopyOnWriteTableOps', inner, 'operations on tables that do not move');
    }
    if (typeof isFrozen !== 'function') {
      throw wrongKind('CopyOnWriteTableOps', isFrozen, 'a function that tells which tables are frozen');
    }
    this.inner = inner;
    this.isFrozen = isFrozen;
    this.root = inner.rootTable();
  }

  entryAddr(addr: A, entryOffset: bigint): A {
    return this.inner.entryAddr(addr, entryOffset);
  }

  readEntry(addr: A): bigint {
    return this.inner.readEntry(addr);
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
    this.made.clear();
    return this.root;
  }

  allocTable(): A {
    const table = this.inner.allocTable();
    this.made.add(pageOf(this.inner.toPhys(table)));
    return table;
  }

  writeEntry(addr: A, entry: bigint): A | undefined {
    const { inner } = this;
    const phys = inner.toPhys(addr);
    const [base, offset] = [phys & ~OFFSET_MASK, phys & OFFSET_MASK];
    const frame = pageOf(base);
    const known = this.copies.get(frame);
    if (known !== undefined) {
      inner.writeEntry(inner.entryAddr(known, offset), entry);
      return undefined;
    }
    if (this.made.has(frame) || !this.isFrozen(base)) {
      inner.writeEntry(addr, entry);
      return undefined;
    }
    const copy = inner.allocTable();
    const original = inner.fromPhys(base);
    for (let at = 0; at < FRAME_BYTES; at += ENTRY_BYTES) {
      const old = inner.readEntry(inner.entryAddr(original, BigInt(at)));
      if (old !== 0n) inner.writeEntry(inner.entryAddr(copy, BigInt(at)), old);
    }
    inner.writeEntry(inner.entryAddr(copy, offset), entry);
    this.copies.set(frame, copy);
    return copy;
  }

  updateRoot(table: A): void {
    this.root = table;
  }
}
