import { addressOf, FRAME_BYTES, FRAME_WORDS, hex, PageTableError, pageOf } from '../bits/index.ts';
import { ABSENT, type FrameLookup, PhysicalMemory } from '../memory/index.ts';
import { addressValue, PhysicalAddress } from './address.ts';

/** Frames that an output address of 48 bits can name. */
const FRAMES = 2 ** 36;

/** Where tables are, and where new ones come from. */
export interface Translation {
  /** Where tables are found by their physical frame. */
  readonly memory: PhysicalMemory;
  /**
   * Gives a frame for a table. The map clears it.
   *
   * @returns a frame number of `memory`, in `[0, 2^36)`
   */
  allocateTable(): number;
  /** Takes a frame back. */
  deallocateTable(frame: number): void;
}

/**
 * Tables that will lie at a certain place, to be put there as bytes: slot by slot from a base address. A table takes the lowest slot that
 * was freed, or else a new one.
 */
export class TargetAllocator implements Translation, FrameLookup {
  readonly memory: PhysicalMemory;
  /** @internal Frame of the first slot. */
  readonly first: number;
  /** @internal Slots so far, freed ones too. */
  count = 0;
  /** Whether each slot is free. */
  private readonly free: boolean[] = [];
  /** No slot below it is free. */
  private lowest = 0;

  /**
   * @param base - physical address of the first table, a multiple of 4096 below 2^48
   * @throws {@link PageTableError} `MISALIGNED` or `OUT_OF_RANGE`
   */
  constructor(base: bigint | PhysicalAddress) {
    const address = addressValue('TargetAllocator', base);
    if ((address & 0xfffn) !== 0n) {
      throw new PageTableError(
        'MISALIGNED',
        `TargetAllocator: base ${hex(address)}; expected a multiple of 4096`,
        {
          base: address,
        },
      );
    }
    this.first = pageOf(address);
    this.checkFrame(this.first);
    // No direct run: code that keeps the words of one would miss that they are replaced.
    this.memory = new PhysicalMemory(new Uint32Array(0), 0, 0, this);
  }

  /** Bytes of all slots: {@link asBytes} without the copy has as many. */
  get size(): number {
    return this.count * FRAME_BYTES;
  }

  /** Index of a frame's first word in `memory.words`. */
  locate(frame: number): number {
    const slot = frame - this.first;
    return slot >= 0 && slot < this.count ? slot * FRAME_WORDS : ABSENT;
  }

  /** Address of the first slot. */
  base(): PhysicalAddress {
    return new PhysicalAddress(addressOf(this.first));
  }

  /**
   * Gives the lowest slot that is free, or a new one; it holds zeros.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if the next one lies above 2^48
   */
  allocateTable(): number {
    let slot = this.lowest;
    while (slot < this.count && !this.free[slot]) slot += 1;
    if (slot === this.count) this.append();
    this.free[slot] = false;
    this.lowest = slot + 1;
    return this.first + slot;
  }

  /**
   * Takes a table back; its slot reads as zeros from then on.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` if it is none
   */
  deallocateTable(frame: number): void {
    const slot = frame - this.first;
    if (this.free[slot] !== false) {
      throw new PageTableError('BAD_ARGUMENT', `TargetAllocator: there is no table in frame ${hex(frame)}`, {
        frame,
      });
    }
    this.memory.clearFrame(frame);
    this.free[slot] = true;
    this.lowest = Math.min(this.lowest, slot);
  }

  /** All slots, 4096 bytes each, little-endian, the root first; freed ones hold zeros. */
  asBytes(): Uint8Array {
    const words = this.memory.words;
    return new Uint8Array(words.buffer, words.byteOffset, this.size).slice();
  }

  private append(): void {
    this.checkFrame(this.first + this.count);
    const words = this.memory.words;
    if (words.length <= this.count * FRAME_WORDS) {
      this.memory.words = new Uint32Array(Math.max(4, this.count * 2) * FRAME_WORDS);
      this.memory.words.set(words);
    }
    this.count += 1;
  }

  private checkFrame(frame: number): void {
    if (frame >= 0 && frame < FRAMES) return;
    throw new PageTableError(
      'OUT_OF_RANGE',
      `TargetAllocator: a table at ${hex(addressOf(frame))}; expected one below 2^48`,
      {
        frame,
      },
    );
  }
}
