/**
 * A processor with a PML4 at 0x1000 and nothing else, and an allocator that hands out frames from 0x10000 upwards, full of junk: the start
 * of X1 to X38 in the notes. Everything that the processor and the allocator are told is written down in order.
 */
import { X86Cpu, type X86CpuOptions } from '../../src/cpu/index.ts';
import type { KnownX86Control } from '../../src/format/index.ts';
import {
  Alloc,
  AllocError,
  Mm,
  PAddr,
  Page,
  type PageCtrl,
  PageRange,
  type Processor,
  Size1Gb,
  Size2Mb,
  Size4Kb,
  type StaticSize,
  VAddr,
} from '../../src/hal-core/index.ts';
import { flatMemory, type PhysicalMemory } from '../../src/memory/index.ts';

const CR0_PG = 1n << 31n;
export const CR0_WP = 1n << 16n;
/** Every access walks afresh and marks nothing. */
const PLAIN: X86CpuOptions = { caching: 'none', accessedDirty: false };
/** Where the window of physical memory begins. */
export const WINDOW = 0x1000_0000_0000n;
const BYTES = 1 << 20;

export const virt = (address: bigint): VAddr => VAddr.fromUsize(address);
export const page = (address: bigint): Page<VAddr, Size4Kb> => Page.startingAt(virt(address), Size4Kb);
export const frame = (address: bigint): Page<PAddr, Size4Kb> => frameOf(address, Size4Kb);
export const pageOf = <S extends StaticSize>(address: bigint, size: S): Page<VAddr, S> =>
  Page.startingAt(virt(address), size);
export const frameOf = <S extends StaticSize>(address: bigint, size: S): Page<PAddr, S> =>
  Page.startingAt(PAddr.fromUsize(address), size);
export const base = (of: Page): bigint => of.baseAddr().asUsize();
export const SIZES: readonly StaticSize[] = [Size4Kb, Size2Mb, Size1Gb];
export const hex = (value: bigint): string => `0x${value.toString(16)}`;

/** Hands out frames upwards, and gives those that came back again, the last one first. */
export class CountingAlloc extends Alloc<Size4Kb> {
  readonly free: bigint[] = [];
  next = 0x1_0000n;
  private readonly limit: number;
  private readonly log: string[];
  private given = 0;

  constructor(log: string[] = [], limit = 64) {
    super();
    this.log = log;
    this.limit = limit;
  }

  /** Frames that are in use. */
  get used(): number {
    return this.given;
  }

  allocRange(_size: Size4Kb, len: bigint): PageRange<PAddr, Size4Kb> {
    if (len !== 1n || this.given >= this.limit) throw AllocError.oom();
    this.given += 1;
    let address = this.free.pop();
    if (address === undefined) {
      address = this.next;
      this.next += 0x1000n;
    }
    this.log.push(`alloc ${hex(address)}`);
    return new PageRange(frame(address), frame(address));
  }

  deallocRange(range: PageRange<PAddr, Size4Kb>): void {
    this.given -= 1;
    this.free.push(range.baseAddr().asUsize());
    this.log.push(`dealloc ${hex(range.baseAddr().asUsize())}`);
  }
}

export interface MachineOptions {
  /** Words that memory holds, by physical address. */
  readonly words?: readonly (readonly [bigint, bigint])[];
  readonly registers?: KnownX86Control;
  readonly policy?: X86CpuOptions;
  /** Frames that the allocator has. */
  readonly frames?: number;
  /** Whether `initPaging` has run: so by default. */
  readonly initialised?: boolean;
  /** Whether the window of physical memory is in the page tables, where PML4 entry 256 leads; by default it lies beside them. */
  readonly window?: 'tables' | 'beside';
}

export class Machine {
  readonly memory: PhysicalMemory;
  readonly cpu: X86Cpu;
  readonly log: string[] = [];
  readonly alloc: CountingAlloc;
  readonly mm: Mm;
  /** What the mapper takes for the processor. */
  readonly processor: Processor;
  private readonly view: DataView<ArrayBuffer>;

  constructor({
    words = [],
    registers = {},
    policy = PLAIN,
    frames = 64,
    initialised = true,
    window = 'beside',
  }: MachineOptions = {}) {
    const buffer = new ArrayBuffer(BYTES);
    this.view = new DataView(buffer);
    this.memory = flatMemory(buffer);
    for (let at = 0x1_0000; at < 0x5_0000; at += 8)
      this.view.setBigUint64(at, 0xdead_0000_0000n + BigInt(at), true);
    // A 1-GiB page at the start of physical memory.
    if (window === 'tables') {
      this.poke(0x1000n + 8n * 256n, 0x2003n);
      this.poke(0x2000n, 0x83n);
    }
    for (const [address, value] of words) this.poke(address, value);
    const cpu = new X86Cpu(this.memory, { cr0: CR0_PG, cr3: 0x1000n, physBits: 52, ...registers }, policy);
    this.cpu = cpu;
    this.processor = spied(cpu, this.log);
    this.alloc = new CountingAlloc(this.log, frames);
    this.mm = new Mm(this.processor, window === 'beside' ? { physicalMemory: this.memory } : {});
    if (initialised) {
      this.mm.initPaging(virt(window === 'beside' ? WINDOW : 0xffff_8000_0000_0000n));
      this.log.length = 0;
    }
  }

  get ctrl(): PageCtrl {
    return this.mm.current();
  }

  poke(address: bigint, value: bigint): void {
    // Less than BYTES.
    this.view.setBigUint64(Number(address), value, true);
  }

  peek(address: bigint): bigint {
    return this.view.getBigUint64(Number(address), true);
  }

  /** Makes a call, and lists the words that are another after it, by address. */
  changedBy(call: () => void): string[] {
    const before = new BigUint64Array(this.view.buffer.slice(0));
    call();
    const after = new BigUint64Array(this.view.buffer);
    if (Buffer.from(before.buffer).equals(Buffer.from(after.buffer))) return [];
    return Array.from(after.keys())
      .filter((i) => before[i] !== after[i])
      .map((i) => hex(8n * BigInt(i)));
  }

  /** The addresses of the words of a frame that are not 0. */
  used(table: bigint): string[] {
    return Array.from({ length: 512 }, (_, i) => table + 8n * BigInt(i))
      .filter((address) => this.peek(address) !== 0n)
      .map(hex);
  }
}

/** A processor that writes down its instructions, and every entry that is written, in order. */
function spied(cpu: X86Cpu, log: string[]): Processor {
  return {
    get cr3() {
      return cpu.cr3;
    },
    get levels() {
      return cpu.levels;
    },
    get high() {
      return cpu.high;
    },
    readEntry: (table, index) => cpu.readEntry(table, index),
    writeEntry: (table, index, low, high) => cpu.writeEntry(table, index, low, high),
    clearFrame: (table) => {
      cpu.clearFrame(table);
      log.push(`clear ${hex(BigInt(table) << 12n)}`);
    },
    invlpg: (address) => {
      log.push(`invlpg ${hex(address)}`);
      return cpu.invlpg(address);
    },
    writeCr3: (value) => {
      log.push(`cr3 ${hex(value)}`);
      return cpu.writeCr3(value);
    },
  };
}
