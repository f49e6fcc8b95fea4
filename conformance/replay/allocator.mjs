// The frame allocator of recorded x86_64, hyperlight and PageCtrl files (section 3).

import { brief, hex, MalformedFile, u64 } from './values.mjs';

const FRAME_BYTES = 4096n;

/** @typedef {{ next: bigint, free: bigint[] }} AllocatorState */

/** Hands out frames from `next` to `limit`; with `reuse: "lifo"` those that came back first, last one first. */
export class RecordedAllocator {
  /** @type {bigint} */
  next;
  /** @type {bigint[]} frames that came back and may be handed out again, oldest first */
  free = [];
  #limit;
  #reuse;

  /** @param {{ next: unknown, limit: unknown, reuse?: unknown }} described - the header's `allocator` */
  constructor(described) {
    this.next = u64(described?.next, 'allocator.next');
    this.#limit = u64(described.limit, 'allocator.limit');
    if (described.reuse !== undefined && described.reuse !== 'lifo' && described.reuse !== 'never') {
      throw new MalformedFile(`allocator.reuse: expected "lifo" or "never", found ${brief(described.reuse)}`);
    }
    this.#reuse = described.reuse === 'lifo';
  }

  /** @returns {bigint | undefined} the address of a frame, or undefined when there is none left */
  take() {
    const reused = this.free.pop();
    if (reused !== undefined) return reused;
    if (this.next >= this.#limit) return undefined;
    this.next += FRAME_BYTES;
    return this.next - FRAME_BYTES;
  }

  /** @param {bigint} address - of a frame that comes back */
  give(address) {
    if (this.#reuse) this.free.push(address);
  }

  /** @returns {AllocatorState} */
  save() {
    return { next: this.next, free: [...this.free] };
  }

  /** @param {AllocatorState} state - to go to */
  restore({ next, free }) {
    this.next = next;
    this.free = [...free];
  }

  /**
   * Goes to the state after a recorded operation.
   *
   * @param {AllocatorState} before - the state before it
   * @param {{ alloc?: unknown[], freed?: unknown[] }} operation
   */
  follow(before, { alloc = [], freed = [] }) {
    this.restore(before);
    // Which frames it hands out follows from its state, so their number is enough.
    for (let i = 0; i < alloc.length; i += 1) this.take();
    for (const address of freed) this.give(u64(address, 'freed'));
  }

  /** What a checkpoint says of it. */
  checkpoint() {
    return { allocatorNext: hex(this.next), free: this.free.map(hex) };
  }
}
