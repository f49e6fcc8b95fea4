import { hex, highHalf, joinHalves, lowHalf, PageTableError } from '../bits/index.ts';
import { FETCH, READ, WRITE } from '../format/index.ts';
import type { PhysicalMemory } from '../memory/index.ts';
import { FAULT, type Front } from './front.ts';
import { type Absent, type Fault, type Outcome, ProcessorFault } from './outcome.ts';

// This module's own constants, which V8 compiles in; what is imported it reads from a cell at each use.
const KIND_READ = READ;
const KIND_WRITE = WRITE;
const PAGE_BYTES = 4096;
const PAGE_WORDS = 1024;
/** What a page number is multiplied by to give bits 63:32 of its address. */
const HIGH_OF_PAGE = 2 ** -20;

/** A word before it is written. */
export interface Overwritten {
  /** Index of its low word in memory. */
  readonly place: number;
  readonly low: number;
  readonly high: number;
}

/** What watches a processor's writes. */
export interface WriteWatch {
  /** Words are going to be written; those that matter as they are now. */
  willWrite(place: number, words: number): Overwritten[];
  /** They were written, through an address. */
  hasWritten(before: readonly Overwritten[], high: number, low: number): void;
  /** Refuses an access from inside a report. */
  refuseReentry(): void;
}

/**
 * The accesses of a processor, whatever its architecture: reads, writes and fetches of 1 to 8 bytes, in one page or in two.
 *
 * @typeParam Options - what an access may be besides its kind
 * @typeParam F - the faults of the architecture
 */
export abstract class AccessPort<Options, F extends Fault> {
  /** Physical memory. */
  abstract readonly memory: PhysicalMemory;
  /** @internal Sees writes, if that was asked for. */
  abstract readonly detector: WriteWatch | undefined;
  /** @internal */
  protected abstract readonly mmu: Front;
  /** @internal Added to the kind of an access. */
  protected user = 0;
  /** Bits 31:0 of the value that {@link load} has loaded, signed. */
  low = 0;
  /** Bits 63:32 of the value that was last loaded, signed. */
  high = 0;
  private bytes: Uint8Array = new Uint8Array(0);
  /** The words of which `bytes` is a view. */
  private bytesOf: Uint32Array | undefined;
  /** A value that lies in two pages, or is not aligned. */
  private readonly value = new Uint8Array(8);
  private readonly valueHalves = new Int32Array(this.value.buffer);

  // ---- what an architecture says

  /** @internal Bits 63:32 of an address, as far as there are any. */
  protected abstract highOf(high: number): number;

  /** @internal Bits that an address has. */
  protected abstract addressBits(): 32 | 64;

  /** @internal Whether an access must be looked at as a whole: it is not aligned, and that may matter. */
  protected abstract isMisaligned(low: number, bytes: number, kind: number): boolean;

  /**
   * @internal Where the page of an address begins in memory, for one access.
   *
   * @returns index of a word, or `FAULT` or `NO_MEMORY`
   */
  protected abstract placeOf(
    high: number,
    low: number,
    kind: number,
    options: Options | undefined,
    misaligned: boolean,
  ): number;

  /** @internal Whether an access to two pages is refused before any table is read. It notes why. */
  protected abstract refusesSpan(
    high: number,
    nextHigh: number,
    nextLow: number,
    kind: number,
    options: Options | undefined,
  ): boolean;

  /** @internal Whether an access to an entry is tried once more after a fault that came from what was remembered. */
  protected abstract readonly retries: boolean;

  // ---- accesses by bigint

  /**
   * Reads 1 to 8 bytes, little-endian.
   *
   * @param address - byte address
   * @param bytes - 1 to 8; they may lie in two pages
   * @throws {@link PageTableError} `OUT_OF_RANGE` if the address has more than 64 bits (32, where the processor has no more
   *   now), or there are not 1 to 8 bytes
   */
  read(address: bigint, bytes: number, options?: Options): Outcome<F> {
    return this.loaded(address, bytes, KIND_READ, options);
  }

  /** Reads 1 to 8 bytes as an instruction fetch does. See {@link read}. */
  fetch(address: bigint, bytes: number, options?: Options): Outcome<F> {
    return this.loaded(address, bytes, FETCH, options);
  }

  /**
   * Writes 1 to 8 bytes, little-endian. Unless all can be written, none is. See {@link read}.
   *
   * @param value - as many bytes, unsigned
   * @throws {@link PageTableError} `OUT_OF_RANGE` also if the value has more bytes
   */
  write(address: bigint, bytes: number, value: bigint, options?: Options): Outcome<F> {
    this.checkAddress('write', address, bytes);
    if (typeof value !== 'bigint' || BigInt.asUintN(8 * bytes, value) !== value) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `write: value ${typeof value === 'bigint' ? hex(value) : String(value)}; expected an unsigned bigint of ${bytes} bytes`,
        { value, bytes },
      );
    }
    this.setValue(lowHalf(value), highHalf(value));
    const done = this.access(highHalf(address), lowHalf(address), bytes, KIND_WRITE, options);
    return done ? { kind: 'done', value } : this.failure();
  }

  // ---- accesses without allocation

  /**
   * Translates an address for one access, changes its entries, and remembers, as the access itself would.
   *
   * @param high - bits 63:32 of the address; where the processor has 32-bit addresses they are passed over
   * @param low - bits 31:0
   * @param kind - `READ`, `WRITE` or `FETCH`
   * @returns the frame of the 4-KiB page, in `[0, 2^40)`, where there may be no memory; or a negative number: then
   *   {@link failure} tells why
   */
  translate(high: number, low: number, kind: number): number {
    return this.mmu.frameOf(high, low, kind + this.user);
  }

  /**
   * Reads 1 to 8 bytes into {@link low} and {@link high}, little-endian; bits beyond them are 0.
   *
   * @param high - bits 63:32 of the address; where the processor has 32-bit addresses they are passed over
   * @param low - bits 31:0
   * @param bytes - 1 to 8; they may lie in two pages
   * @param kind - `READ` or `FETCH`
   * @returns whether they were read; if not, {@link failure} tells why
   */
  load(high: number, low: number, bytes: number, kind: number = KIND_READ): boolean {
    const offset = low & (PAGE_BYTES - 1);
    if ((bytes === 4 || bytes === 8) && (offset & (bytes - 1)) === 0) {
      const place = this.mmu.reach(high, low, kind + this.user);
      if (place < 0) return false;
      const { memory } = this;
      const words = memory.current();
      if (bytes === 8) {
        this.low = memory.loadEntry(place + (offset >> 2));
        this.high = memory.high;
      } else {
        this.low = words[place + (offset >> 2)] | 0;
        this.high = 0;
      }
      return true;
    }
    this.setValue(0, 0);
    if (!this.access(high, low, bytes, kind, undefined)) return false;
    this.low = this.valueHalves[0];
    this.high = this.valueHalves[1];
    return true;
  }

  /**
   * Writes 1 to 8 bytes, little-endian. Unless all can be written, none is.
   *
   * @param high - bits 63:32 of the address; where the processor has 32-bit addresses they are passed over
   * @param low - bits 31:0
   * @param bytes - 1 to 8; they may lie in two pages
   * @param valueLow - bits 31:0 of the value
   * @param valueHigh - bits 63:32
   * @returns whether they were written; if not, {@link failure} tells why
   */
  store(high: number, low: number, bytes: number, valueLow: number, valueHigh = 0): boolean {
    const offset = low & (PAGE_BYTES - 1);
    if ((bytes === 4 || bytes === 8) && (offset & (bytes - 1)) === 0) {
      const place = this.mmu.reach(high, low, KIND_WRITE + this.user);
      if (place < 0) return false;
      const { detector } = this;
      const words = this.memory.current();
      const before = detector?.willWrite(place + (offset >> 2), bytes >> 2);
      if (bytes === 8) this.memory.storeEntry(place + (offset >> 2), valueLow, valueHigh);
      else words[place + (offset >> 2)] = valueLow;
      if (before !== undefined) detector?.hasWritten(before, this.highOf(high), low);
      return true;
    }
    this.setValue(valueLow, valueHigh);
    return this.access(high, low, bytes, KIND_WRITE, undefined);
  }

  /** Why the last access failed. */
  abstract failure(): F | Absent;

  // ---- as the memory in which page tables lie

  /**
   * Reads a 64-bit entry of a table, as `PhysicalMemory` does.
   *
   * @param page - number of the page at which the table appears, an integer in `[0, 2^52)`
   * @param index - of the entry, in `[0, 512)`
   * @returns bits 31:0, signed; bits 63:32, signed, are then in {@link high}
   * @throws {@link ProcessorFault}; `NOT_IN_MEMORY` if there is no memory at the physical address
   */
  readEntry(page: number, index: number): number {
    const place = this.entryPlace(page, index, KIND_READ);
    const { memory } = this;
    const low = memory.loadEntry(place);
    this.high = memory.high;
    return low;
  }

  /** Fills a page with zeros, as 512 calls of {@link writeEntry} would. */
  clearFrame(page: number): void {
    const place = this.entryPlace(page, 0, KIND_WRITE);
    const { detector } = this;
    const before = detector?.willWrite(place, PAGE_WORDS);
    this.memory.words.fill(0, place, place + PAGE_WORDS);
    if (before !== undefined)
      detector?.hasWritten(before, this.highOf((page * HIGH_OF_PAGE) | 0), page << 12);
  }

  /** Whether a page holds nothing but zeros. */
  isClear(page: number): boolean {
    return this.memory.isClearAt(this.entryPlace(page, 0, KIND_READ));
  }

  /** Writes a 64-bit entry of a table. See {@link readEntry}. */
  writeEntry(page: number, index: number, low: number, high: number): void {
    const place = this.entryPlace(page, index, KIND_WRITE);
    const { detector } = this;
    const before = detector?.willWrite(place, 2);
    this.memory.storeEntry(place, low, high);
    if (before !== undefined)
      detector?.hasWritten(before, this.highOf((page * HIGH_OF_PAGE) | 0), page << 12);
  }

  /**
   * Frames have moved in memory, or have come or gone, as the `FrameLookup` of a memory of the user's may let them: what was
   * found out about their places is forgotten. Translations stay.
   */
  memoryChanged(): void {
    this.mmu.renewFront();
  }

  /** @internal Whether translations are good as long as {@link generation} stays, and accesses may be left out. */
  get remembersAll(): boolean {
    return this.mmu.remembersAll && !this.memory.shared;
  }

  /** @internal Changes whenever a translation may have changed; it wraps around. */
  get generation(): number {
    return this.mmu.generation;
  }

  /**
   * @internal Where a 64-bit entry lies in memory, after all that an access to it does.
   *
   * @param high - bits 63:32 of its address
   * @param low - bits 31:0, a multiple of 8
   * @param kind - `READ` or `WRITE`
   * @returns index of its low word in `memory.words`, or a negative number: then {@link failure} tells why
   */
  entryAt(high: number, low: number, kind: number): number {
    const place = this.mmu.reach(high, low, kind + this.user);
    return place < 0 ? place : place + ((low & 0xff8) >>> 2);
  }

  /** Where an entry lies in memory. */
  private entryPlace(page: number, index: number, kind: number): number {
    const high = this.highOf((page * HIGH_OF_PAGE) | 0);
    const low = (page << 12) | (index << 3);
    const access = kind + this.user;
    const { mmu } = this;
    let place = mmu.reach(high, low, access);
    if (place < 0 && this.retries && mmu.failed.isFromCache) place = mmu.reach(high, low, access);
    if (place < 0) throw this.failed();
    this.memory.current();
    return place + (index << 1);
  }

  private failed(): PageTableError {
    const failure = this.failure();
    if (failure.kind === 'fault') return new ProcessorFault(failure);
    const { address } = failure;
    return new PageTableError(
      'NOT_IN_MEMORY',
      `memory: there is nothing at physical address ${hex(address)}`,
      { address },
    );
  }

  // ---- inside

  private loaded(address: bigint, bytes: number, kind: number, options: Options | undefined): Outcome<F> {
    this.checkAddress(kind === FETCH ? 'fetch' : 'read', address, bytes);
    this.setValue(0, 0);
    if (!this.access(highHalf(address), lowHalf(address), bytes, kind, options)) return this.failure();
    return { kind: 'done', value: BigInt.asUintN(64, joinHalves(this.valueHalves[0], this.valueHalves[1])) };
  }

  private checkAddress(operation: string, address: bigint, bytes: number): void {
    if (!isCount(bytes))
      throw new PageTableError('OUT_OF_RANGE', `${operation}: ${bytes} bytes; expected 1 to 8`, { bytes });
    if (typeof address !== 'bigint') {
      throw new PageTableError('BAD_ARGUMENT', `${operation}: address ${String(address)}; expected a bigint`);
    }
    const bits = this.addressBits();
    if (BigInt.asUintN(bits, address) !== address) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${operation}: address ${hex(address)}; expected an unsigned address of ${bits} bits`,
        { address },
      );
    }
  }

  /** Moves 1 to 8 bytes between memory and `value`, in one page or in two. */
  private access(
    highGiven: number,
    lowGiven: number,
    bytes: number,
    kind: number,
    options: Options | undefined,
  ): boolean {
    if (!isCount(bytes))
      throw new PageTableError('OUT_OF_RANGE', `access: ${bytes} bytes; expected 1 to 8`, { bytes });
    const high = this.highOf(highGiven);
    const low = lowGiven | 0;
    const offset = low & (PAGE_BYTES - 1);
    const first = Math.min(bytes, PAGE_BYTES - offset);
    const misaligned = this.isMisaligned(low, bytes, kind);
    // The page after the last of the address space is the first one.
    const nextLow = ((low & -PAGE_BYTES) + PAGE_BYTES) | 0;
    const nextHigh = this.highOf(nextLow === 0 ? (high + 1) | 0 : high);
    const crosses = first < bytes;
    if (crosses && this.refusesSpan(high, nextHigh, nextLow, kind, options)) return false;
    const place = this.placeOf(high, low, kind, options, misaligned);
    if (place === FAULT || (place < 0 && !crosses)) return false;
    const next = crosses ? this.placeOf(nextHigh, nextLow, kind, options, misaligned) : 0;
    if (next < 0) return false;
    // Both pages are translated before memory is looked for; now the first one is found missing again.
    if (place < 0) return this.placeOf(high, low, kind, options, misaligned) >= 0;
    this.move(place * 4 + offset, 0, first, kind, high, low);
    if (crosses) this.move(next * 4, first, bytes, kind, nextHigh, nextLow);
    return true;
  }

  /** Moves the bytes `[from, to)` of `value` to or from a place in memory, which has an address. */
  private move(at: number, from: number, to: number, kind: number, high: number, low: number): void {
    const bytes = this.byteView();
    if (kind !== KIND_WRITE) {
      for (let i = from; i < to; i += 1) this.value[i] = bytes[at + i - from];
      return;
    }
    const { detector } = this;
    const word = Math.floor(at / 4);
    const before = detector?.willWrite(word, Math.floor((at + to - from - 1) / 4) - word + 1);
    for (let i = from; i < to; i += 1) bytes[at + i - from] = this.value[i];
    if (before !== undefined) detector?.hasWritten(before, high, low);
  }

  private byteView(): Uint8Array {
    const words = this.memory.current();
    if (this.bytesOf !== words) {
      this.bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
      this.bytesOf = words;
    }
    return this.bytes;
  }

  private setValue(low: number, high: number): void {
    this.detector?.refuseReentry();
    this.valueHalves[0] = low;
    this.valueHalves[1] = high;
  }
}

/** Whether an access may have so many bytes. */
function isCount(bytes: number): boolean {
  return Number.isInteger(bytes) && bytes >= 1 && bytes <= 8;
}
