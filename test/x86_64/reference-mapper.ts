/**
 * What `MappedPageTable` and `OffsetPageTable` do, word by word, written from the specification alone
 * (notes on the Rust crate, sections 8, 9 and 11), slow and obvious.
 */
import type { Calls, SizeName } from './calls.ts';

const P = 1n;
const H = 0x80n;
const MASK = 0x000f_ffff_ffff_f000n;
const FLAGMASK = 0xfff0_0000_0000_0fffn;
const PARENTS = 0x7n;

const BYTES: Readonly<Record<SizeName, bigint>> = {
  '4KiB': 0x1000n,
  '2MiB': 0x20_0000n,
  '1GiB': 0x4000_0000n,
};
/** The level of a page's leaf entry. */
const LEAF: Readonly<Record<SizeName, number>> = { '4KiB': 1, '2MiB': 2, '1GiB': 3 };

const hex = (value: bigint) => `0x${value.toString(16)}`;

/** A panic of the original. */
class Abort extends Error {}
/** An error of the original, as text. */
class Failure extends Error {}

/** Words of memory by the address at which a table lies. */
export interface ReferenceMemory {
  read(address: bigint): bigint;
  write(address: bigint, value: bigint): void;
}

/** All that a reference needs. */
export interface ReferenceOptions {
  readonly memory: ReferenceMemory;
  /** Address of the level-4 table. */
  readonly root: bigint;
  /** Address of the table in a physical frame, or `undefined` where reaching for it is a panic. */
  readonly place: (frame: bigint) => bigint | undefined;
  readonly allocate: () => bigint | undefined;
  readonly free: (frame: bigint) => void;
  /**
   * Whether a panic leaves what was written before it; by default it leaves memory as before the call. What clean-up has
   * done before a panic stays in any case.
   */
  readonly keepPartial?: boolean;
}

/** The index of an address in a table of a level (section 1). */
export function indexAt(address: bigint, level: number): bigint {
  return (address >> BigInt(12 + 9 * (level - 1))) & 511n;
}

/** The model. */
export class ReferenceMapper implements Calls {
  private readonly options: ReferenceOptions;
  private undo: [address: bigint, old: bigint][] = [];

  constructor(options: ReferenceOptions) {
    this.options = options;
  }

  // 9.1
  map(size: SizeName, page: bigint, frame: bigint, flags: bigint): string {
    return this.mapWith(size, page, frame, flags, flags & PARENTS);
  }

  mapWith(size: SizeName, page: bigint, frame: bigint, flags: bigint, parents: bigint): string {
    return this.run(() => {
      let table = this.options.root;
      for (let level = 4; level > LEAF[size]; level -= 1) {
        table = this.createNext(table + 8n * indexAt(page, level), parents);
      }
      const leaf = table + 8n * indexAt(page, LEAF[size]);
      if (this.read(leaf) !== 0n) throw new Failure(`PageAlreadyMapped(${hex(frame)})`);
      if (size === '4KiB' && (flags & H) !== 0n) throw new Abort();
      if ((frame & 0xfffn) !== 0n) throw new Abort();
      this.write(leaf, frame | flags | (size === '4KiB' ? 0n : H));
      return 'Ok';
    });
  }

  // 9.2
  identity(size: SizeName, frame: bigint, flags: bigint): string {
    if (frame >= 1n << 47n) return 'abort';
    return this.map(size, frame - (frame % BYTES[size]), frame, flags);
  }

  // 9.3
  unmap(size: SizeName, page: bigint): string {
    return this.run(() => {
      const leaf = this.strict(page, LEAF[size]);
      const entry = this.read(leaf);
      if ((entry & P) === 0n) throw new Failure('PageNotMapped');
      if (((entry & H) !== 0n) === (size === '4KiB')) throw new Failure('ParentEntryHugePage');
      const addr = entry & MASK;
      if (addr % BYTES[size] !== 0n) throw new Failure(`InvalidFrameAddress(${hex(addr)})`);
      this.write(leaf, 0n);
      return `Ok(${hex(addr)})`;
    });
  }

  // 9.4
  update(size: SizeName, page: bigint, flags: bigint): string {
    return this.run(() => {
      const leaf = this.strict(page, LEAF[size]);
      const entry = this.read(leaf);
      if (entry === 0n) throw new Failure('PageNotMapped');
      this.write(leaf, (entry & MASK) | flags | (size === '4KiB' ? 0n : H));
      return 'Ok';
    });
  }

  // 9.5
  setFlags(level: 4 | 3 | 2, size: SizeName, page: bigint, flags: bigint): string {
    return this.run(() => {
      if (level <= LEAF[size]) throw new Failure('ParentEntryHugePage');
      const at = this.strict(page, level);
      const entry = this.read(at);
      if (entry === 0n) throw new Failure('PageNotMapped');
      this.write(at, (entry & MASK) | flags);
      return 'Ok';
    });
  }

  // 9.6
  translatePage(size: SizeName, page: bigint): string {
    return this.run(() => {
      const entry = this.read(this.strict(page, LEAF[size]));
      if (entry === 0n) throw new Failure('PageNotMapped');
      const addr = entry & MASK;
      if (addr % BYTES[size] !== 0n) throw new Failure(`InvalidFrameAddress(${hex(addr)})`);
      return `Ok(${hex(addr)})`;
    });
  }

  // 9.7
  translate(address: bigint): string {
    return this.run(() => {
      const found = this.find(address);
      if (found === undefined) return 'NotMapped';
      const { size, frame, flags } = found;
      return `Mapped ${size} ${hex(frame)} off ${hex(address % BYTES[size])} flags ${hex(flags)}`;
    });
  }

  translateAddr(address: bigint): string {
    return this.run(() => {
      const found = this.find(address);
      return found === undefined ? 'none' : hex(found.frame + (address % BYTES[found.size]));
    });
  }

  // 11
  cleanUp(): string {
    return this.cleanUpRange(0n, 0xffff_ffff_ffff_f000n);
  }

  cleanUpRange(first: bigint, last: bigint): string {
    return this.run(() => {
      this.visit(this.options.root, 4, first, last);
      return 'Ok';
    }, true);
  }

  // 8.3
  private createNext(at: bigint, ins: bigint): bigint {
    let created = false;
    if (this.read(at) === 0n) {
      const frame = this.options.allocate();
      if (frame === undefined) throw new Failure('FrameAllocationFailed');
      if ((ins & H) !== 0n) throw new Abort();
      this.write(at, frame | ins);
      created = true;
    } else if (ins !== 0n && (this.read(at) & ins) !== ins) {
      this.write(at, this.read(at) | ins);
    }
    const entry = this.read(at);
    if ((entry & P) === 0n) throw new Abort();
    if ((entry & H) !== 0n) throw new Failure('ParentEntryHugePage');
    const child = this.place(entry & MASK);
    if (created) for (let i = 0n; i < 512n; i += 1n) this.write(child + 8n * i, 0n);
    return child;
  }

  /** Address of the entry at a level, through parents that must be tables (8.1). */
  private strict(page: bigint, target: number): bigint {
    let table = this.options.root;
    for (let level = 4; level > target; level -= 1) {
      const entry = this.read(table + 8n * indexAt(page, level));
      if ((entry & P) === 0n) throw new Failure('PageNotMapped');
      if ((entry & H) !== 0n) throw new Failure('ParentEntryHugePage');
      table = this.place(entry & MASK);
    }
    return table + 8n * indexAt(page, target);
  }

  private find(address: bigint): { size: SizeName; frame: bigint; flags: bigint } | undefined {
    const aligned = (entry: bigint, size: SizeName) => {
      const addr = entry & MASK;
      return { size, frame: addr - (addr % BYTES[size]), flags: entry & FLAGMASK };
    };
    let table = this.options.root;
    for (let level = 4; level > 1; level -= 1) {
      const entry = this.read(table + 8n * indexAt(address, level));
      if ((entry & P) === 0n) return undefined;
      if ((entry & H) !== 0n && level === 4) throw new Abort();
      if ((entry & H) !== 0n) return aligned(entry, level === 3 ? '1GiB' : '2MiB');
      table = this.place(entry & MASK);
    }
    const leaf = this.read(table + 8n * indexAt(address, 1));
    return leaf === 0n ? undefined : aligned(leaf, '4KiB');
  }

  private visit(table: bigint, level: number, first: bigint, last: bigint): boolean {
    if (first > last) return false;
    // The bytes that one entry of the level above covers; the whole address space at level 4.
    const span = 1n << BigInt(12 + 9 * level);
    const base = level === 4 ? 0n : first - (first % span);
    if (level > 1) {
      const entrySpan = span / 512n;
      for (let i = indexAt(first, level); i <= indexAt(last, level); i += 1n) {
        const at = table + 8n * i;
        const entry = this.read(at);
        if ((entry & P) === 0n || (entry & H) !== 0n) continue;
        const start = canonical(base + i * entrySpan);
        const end = start + entrySpan - 0x1000n;
        const from = start > first ? start : first;
        const to = end < last ? end : last;
        if (this.visit(this.place(entry & MASK), level - 1, from, to)) {
          this.write(at, 0n);
          this.options.free(entry & MASK);
        }
      }
    }
    for (let i = 0n; i < 512n; i += 1n) if (this.read(table + 8n * i) !== 0n) return false;
    return true;
  }

  private place(frame: bigint): bigint {
    const address = this.options.place(frame);
    if (address === undefined) throw new Abort();
    return address;
  }

  private read(address: bigint): bigint {
    return this.options.memory.read(address);
  }

  private write(address: bigint, value: bigint): void {
    this.undo.push([address, this.read(address)]);
    this.options.memory.write(address, value);
  }

  private run(call: () => string, keepPartial = this.options.keepPartial): string {
    this.undo = [];
    try {
      return call();
    } catch (error) {
      if (error instanceof Failure) return error.message;
      if (!(error instanceof Abort)) throw error;
      if (keepPartial !== true) {
        for (const [address, old] of this.undo.reverse()) this.options.memory.write(address, old);
      }
      return 'abort';
    }
  }
}

/** An address with bits 63:48 like bit 47. */
function canonical(address: bigint): bigint {
  return (address & (1n << 47n)) === 0n ? address : address | 0xffff_0000_0000_0000n;
}
