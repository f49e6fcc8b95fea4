// Stores of different kinds, and what tests say to them.
import { addressOf, pageOf } from '../../src/bits/index.ts';
import { X86Cpu } from '../../src/cpu/index.ts';
import {
  type Architecture,
  CopyOnWriteTableOps,
  type FixedTableOps,
  type Mapping,
  type MappingKind,
  MemoryTableOps,
  type MovableTableOps,
  map,
  type TableOps,
  virtToPhys,
} from '../../src/hyperlight-vmem/index.ts';
import { flatMemory, type PhysicalMemory, SparseMemory } from '../../src/memory/index.ts';

/** The first table of every store; others follow it. */
export const ROOT = 0x10_0000n;
export const PAGE = 0x1000n;

/** One letter for each right: `rw-`, `r-x`, `cow-`, `cowx`, `none`. */
export function kind(text: string): MappingKind {
  if (text === 'none') return { kind: 'Unmapped' };
  const executable = text.endsWith('x');
  if (text.startsWith('cow')) return { kind: 'Cow', readable: true, executable };
  return { kind: 'Basic', readable: true, writable: text[1] === 'w', executable };
}

/** The inverse of {@link kind}. */
export function letters(given: MappingKind): string {
  if (given.kind === 'Unmapped') return 'none';
  const x = given.executable ? 'x' : '-';
  return given.kind === 'Cow' ? `cow${x}` : `r${given.writable ? 'w' : '-'}${x}`;
}

/** Virtual address, physical address and rights of every page found. */
export function pages<A>(
  architecture: Architecture,
  ops: TableOps<A>,
  address = 0n,
  len = 1n << 48n,
): [virt: bigint, phys: bigint, rights: string][] {
  return Array.from(virtToPhys(architecture, ops, address, len), (item) => [
    item.virtBase,
    item.physBase,
    letters(item.kind),
  ]);
}

/** `map` with the rights as letters. */
export function put<A>(
  architecture: Architecture,
  ops: TableOps<A>,
  virtBase: bigint,
  physBase: bigint,
  len: bigint,
  rights = 'rw-',
): void {
  map(architecture, ops, { virtBase, physBase, len, kind: kind(rights) } satisfies Mapping);
}

/** A user's operations with `bigint` addresses over a plain `Map`: what was never written is 0. It logs its calls. */
export class MapOps implements FixedTableOps<bigint> {
  readonly tableMovability = 'MayNotMoveTable';
  readonly words = new Map<bigint, bigint>();
  readonly log: string[] = [];
  /** Whether reads are logged: their texts take longer than they do. */
  logsReads = true;
  root = ROOT;
  next = ROOT + PAGE;

  entryAddr(addr: bigint, entryOffset: bigint): bigint {
    return addr + entryOffset;
  }
  readEntry(addr: bigint): bigint {
    if (this.logsReads) this.log.push(`read ${addr.toString(16)}`);
    return this.words.get(addr) ?? 0n;
  }
  toPhys(addr: bigint): bigint {
    return addr;
  }
  fromPhys(phys: bigint): bigint {
    return phys;
  }
  rootTable(): bigint {
    this.log.push('root');
    return this.root;
  }
  allocTable(): bigint {
    const table = this.next;
    this.next += PAGE;
    this.log.push(`alloc ${table.toString(16)}`);
    return table;
  }
  writeEntry(addr: bigint, entry: bigint): void {
    this.log.push(`write ${addr.toString(16)} ${entry.toString(16)}`);
    this.words.set(addr, entry);
  }
}

/**
 * The same with tables that move: those below `frozen` are copied whenever they are written to, again for every write, as in the original's
 * tests.
 */
export class MovingOps implements MovableTableOps<bigint> {
  readonly tableMovability = 'MayMoveTable';
  readonly inner = new MapOps();
  frozen = 0n;

  entryAddr(addr: bigint, entryOffset: bigint): bigint {
    return addr + entryOffset;
  }
  readEntry(addr: bigint): bigint {
    return this.inner.readEntry(addr);
  }
  toPhys(addr: bigint): bigint {
    return addr;
  }
  fromPhys(phys: bigint): bigint {
    return phys;
  }
  rootTable(): bigint {
    return this.inner.rootTable();
  }
  allocTable(): bigint {
    return this.inner.allocTable();
  }
  writeEntry(addr: bigint, entry: bigint): bigint | undefined {
    const { inner } = this;
    if (addr >= this.frozen) {
      inner.writeEntry(addr, entry);
      return undefined;
    }
    const base = addr & ~0xfffn;
    const copy = inner.next;
    inner.next += PAGE;
    inner.log.push(`copy ${base.toString(16)} ${copy.toString(16)}`);
    for (let offset = 0n; offset < PAGE; offset += 8n) {
      const old = inner.words.get(base + offset) ?? 0n;
      if (old !== 0n) inner.words.set(copy + offset, old);
    }
    inner.writeEntry(copy + (addr & 0xfffn), entry);
    return copy;
  }
  updateRoot(table: bigint): void {
    this.inner.log.push(`root ${table.toString(16)}`);
    this.inner.root = table;
  }
}

const RAM_BYTES = 4 << 20;

/** Gives tables in ascending order from the one after the root. */
function bump(): () => bigint {
  let next = ROOT;
  return () => {
    next += PAGE;
    return next;
  };
}

/** Guest RAM in an ArrayBuffer. */
export function ramStore(): { readonly ops: MemoryTableOps; readonly memory: PhysicalMemory } {
  const memory = flatMemory(new ArrayBuffer(RAM_BYTES));
  return { ops: new MemoryTableOps(memory, { root: ROOT, allocTable: bump() }), memory };
}

/** Memory of which only the tables are there. */
export function sparseStore(): { readonly ops: MemoryTableOps; readonly memory: PhysicalMemory } {
  const sparse = new SparseMemory();
  sparse.add(pageOf(ROOT));
  const next = bump();
  const allocTable = () => {
    const table = next();
    sparse.add(pageOf(table));
    return table;
  };
  return { ops: new MemoryTableOps(sparse.memory, { root: ROOT, allocTable }), memory: sparse.memory };
}

/** Where {@link WindowOps} sees physical address 0. */
export const WINDOW = 0xffff_9000_0000_0000n;
/** Frame of the tables with which the processor starts. */
const BOOT_ROOT = 1;

/**
 * Tables as a kernel reaches them: all RAM is mapped at {@link WINDOW}, and each access goes through the processor's own translation. An
 * address here is a linear address in that window.
 */
export class WindowOps implements FixedTableOps<bigint> {
  readonly tableMovability = 'MayNotMoveTable';
  readonly cpu: X86Cpu;
  private readonly next = bump();

  constructor() {
    const memory = flatMemory(new ArrayBuffer(RAM_BYTES));
    // By hand: one page-directory-pointer table, and a directory of 2-MiB pages; P, R/W, A, D, PS.
    memory.writeEntry(BOOT_ROOT, Number((WINDOW >> 39n) & 511n), 0x2023, 0);
    memory.writeEntry(2, Number((WINDOW >> 30n) & 511n), 0x3023, 0);
    for (let i = 0; i < RAM_BYTES >> 21; i += 1) memory.writeEntry(3, i, (i << 21) | 0xe3, 0);
    this.cpu = new X86Cpu(memory, { cr3: addressOf(BOOT_ROOT) });
  }

  entryAddr(addr: bigint, entryOffset: bigint): bigint {
    return addr + entryOffset;
  }
  readEntry(addr: bigint): bigint {
    const read = this.cpu.read(addr, 8);
    return read.kind === 'done' ? read.value : 0n;
  }
  toPhys(addr: bigint): bigint {
    return addr - WINDOW;
  }
  fromPhys(phys: bigint): bigint {
    return WINDOW + phys;
  }
  rootTable(): bigint {
    return this.fromPhys(ROOT);
  }
  allocTable(): bigint {
    return this.fromPhys(this.next());
  }
  writeEntry(addr: bigint, entry: bigint): void {
    const written = this.cpu.write(addr, 8, entry);
    if (written.kind !== 'done') throw new Error(`cannot write ${addr.toString(16)}`);
  }
}

/** Tables in RAM of which those that were there are never changed again once {@link freeze} was called. */
export function copyOnWriteStore(): {
  readonly ops: CopyOnWriteTableOps<bigint>;
  readonly memory: PhysicalMemory;
  freeze(): void;
} {
  const memory = flatMemory(new ArrayBuffer(RAM_BYTES));
  const next = bump();
  let last = ROOT;
  let frozen = 0n;
  const allocTable = () => {
    last = next();
    return last;
  };
  return {
    ops: new CopyOnWriteTableOps(
      new MemoryTableOps(memory, { root: ROOT, allocTable }),
      (table) => table < frozen,
    ),
    memory,
    freeze: () => {
      frozen = last + PAGE;
    },
  };
}
