import { FRAME_BYTES, FRAME_WORDS, hex, PageTableError, pageOf } from '../bits/index.ts';
import { ABSENT, type FrameLookup, NO_FRAMES, PhysicalMemory } from './physical-memory.ts';

/** A run of guest RAM and where it lies in the buffer. All three are multiples of 4096 bytes, save `offset`. */
export interface RamRegion {
  /** Physical byte address of its first byte; a multiple of 4096. */
  readonly address: bigint;
  /** Byte offset of its first byte in the buffer; a multiple of 8, and of 4096 relative to the other regions. */
  readonly offset: number;
  /** Bytes; a multiple of 4096. */
  readonly length: number;
}

/** What can hold guest RAM: a buffer, a part of one, or a `WebAssembly.Memory`, which may grow while it is in use. */
export type RamBuffer = ArrayBuffer | SharedArrayBuffer | ArrayBufferView | GrowableMemory;

/** Words of the longest `Uint32Array` that all engines make: 8 GiB. */
const MAX_WORDS = 2 ** 31;

/** As much of `WebAssembly.Memory` as is needed. */
export interface GrowableMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
}

/**
 * Guest RAM that lies in one buffer, in one or several regions.
 *
 * The region lowest in the buffer is reached without a search; put the largest there.
 *
 * @param ram - the buffer, or a part of it as a typed array (v86's `mem8`), or a WebAssembly memory
 * @param regions - where RAM lies, counted from the beginning of `ram`; by default all of it is RAM from physical address 0
 * @throws {@link PageTableError} `MISALIGNED`, `OUT_OF_RANGE` or `OVERLAP`, naming the region; later `DETACHED`, if the
 *   buffer was transferred away
 */
export function flatMemory(ram: RamBuffer, regions?: readonly RamRegion[]): PhysicalMemory {
  const bytes = bytesOf(ram).byteLength;
  const origin = bytesOf(ram).byteOffset;
  const given = regions ?? [{ address: 0n, offset: 0, length: bytes - (bytes % FRAME_BYTES) }];
  const byOffset = given.map(checkRegion(bytes, origin)).sort((a, b) => a.offset - b.offset);
  const direct = byOffset[0];
  if (direct === undefined) {
    throw new PageTableError('OUT_OF_RANGE', 'flat memory: expected at least one RAM region, found none');
  }
  for (const region of byOffset) {
    if ((region.offset - direct.offset) % FRAME_BYTES !== 0) {
      throw new PageTableError(
        'MISALIGNED',
        `flat memory: the RAM region at buffer offset ${hex(region.offset)} lies ${hex(region.offset - direct.offset)} bytes ` +
          `behind the first one; expected a multiple of ${FRAME_BYTES}`,
        { offset: region.offset },
      );
    }
  }
  const last = Math.max(...byOffset.map((region) => region.offset + region.length));
  // A view's length follows from the regions, not from the buffer: a grown memory has more behind them.
  const view = () => {
    const { buffer, byteLength } = bytesOf(ram);
    if (byteLength < last) {
      throw new PageTableError(
        'DETACHED',
        `flat memory: its buffer has ${hex(byteLength)} bytes left of ${hex(last)}; it was transferred away or shrunk`,
        { byteLength, expected: last },
      );
    }
    return new Uint32Array(buffer, origin + direct.offset, (last - direct.offset) / 4);
  };
  if ((last - direct.offset) / 4 > MAX_WORDS) {
    throw new PageTableError(
      'OUT_OF_RANGE',
      `flat memory: its regions span ${hex(last - direct.offset)} bytes of the buffer; expected at most ${hex(MAX_WORDS * 4)}`,
      { span: last - direct.offset },
    );
  }
  const lookup = byOffset.length === 1 ? NO_FRAMES : new RegionLookup(byOffset, direct.offset);
  return new PhysicalMemory(view(), pageOf(direct.address), direct.length / FRAME_BYTES, lookup, view);
}

/** The bytes of any kind of RAM, as they are now. */
function bytesOf(ram: RamBuffer): Uint8Array {
  const buffer = 'buffer' in ram ? ram.buffer : ram;
  // Nothing can be viewed in a buffer that is detached.
  if (buffer.byteLength === 0) return new Uint8Array(0);
  return ArrayBuffer.isView(ram)
    ? new Uint8Array(buffer, ram.byteOffset, ram.byteLength)
    : new Uint8Array(buffer);
}

/** Makes a check of one region against the buffer's size. */
function checkRegion(bufferBytes: number, origin: number): (region: RamRegion) => RamRegion {
  return (region) => {
    const { address, offset, length } = region;
    const at = `flat memory: the RAM region at physical address ${hex(address)}`;
    if (address % BigInt(FRAME_BYTES) !== 0n || length % FRAME_BYTES !== 0 || (origin + offset) % 8 !== 0) {
      throw new PageTableError(
        'MISALIGNED',
        `${at} has offset ${hex(offset)} and length ${hex(length)}; expected address and length in multiples of ` +
          `${FRAME_BYTES} and an offset in multiples of 8`,
        { address, offset, length },
      );
    }
    if (length <= 0 || offset < 0 || offset + length > bufferBytes) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${at} takes bytes [${hex(offset)}, ${hex(offset + length)}) of the buffer; expected a non-empty part of its ` +
          `${hex(bufferBytes)} bytes`,
        { address, offset, length, bufferBytes },
      );
    }
    return region;
  };
}

/** Regions by physical address, found by binary search. */
class RegionLookup implements FrameLookup {
  private readonly firsts: Float64Array;
  private readonly counts: Float64Array;
  private readonly places: Float64Array;

  constructor(regions: readonly RamRegion[], origin: number) {
    const sorted = [...regions].sort((a, b) => (a.address < b.address ? -1 : 1));
    this.firsts = Float64Array.from(sorted, (region) => pageOf(region.address));
    this.counts = Float64Array.from(sorted, (region) => region.length / FRAME_BYTES);
    this.places = Float64Array.from(sorted, (region) => (region.offset - origin) / 4);
    for (let i = 1; i < sorted.length; i += 1) {
      if (this.firsts[i - 1] + this.counts[i - 1] > this.firsts[i]) {
        throw new PageTableError(
          'OVERLAP',
          `flat memory: the RAM regions at physical addresses ${hex(sorted[i - 1].address)} and ` +
            `${hex(sorted[i].address)} overlap; expected disjoint regions`,
          { first: sorted[i - 1].address, second: sorted[i].address },
        );
      }
    }
  }

  locate(frame: number): number {
    let low = 0;
    let high = this.firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.firsts[middle] <= frame) low = middle + 1;
      else high = middle;
    }
    const place = frame - this.firsts[low - 1];
    return low > 0 && place < this.counts[low - 1] ? this.places[low - 1] + place * FRAME_WORDS : ABSENT;
  }
}
