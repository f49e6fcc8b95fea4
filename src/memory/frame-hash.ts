const SMALLEST_TABLE = 64;

/** What {@link FrameHash.slotOf} answers for a frame that is not in it. */
const NONE = -1;

/**
 * Frame numbers and the slots that they got, counted from 0 in the order in which they came: open addressing, at most
 * half full. One class for every kind of memory, so that a walk compiled for one stays compiled.
 */
export class FrameHash {
  /** Frame number by slot. */
  private frameOf = new Float64Array(SMALLEST_TABLE / 2);
  /** Slot by hash place, plus 1; 0 where the place is free. */
  private places = new Int32Array(SMALLEST_TABLE);
  private used = 0;

  /** Frames held. */
  get size(): number {
    return this.used;
  }

  /** Slots that it has room for before it grows. */
  get capacity(): number {
    return this.frameOf.length;
  }

  /** The frame numbers held, by slot. */
  frames(): Float64Array {
    return this.frameOf.slice(0, this.used);
  }

  /**
   * @param frame - frame number, an integer in `[0, 2^52)`
   * @returns its slot, or -1
   */
  slotOf(frame: number): number {
    const places = this.places;
    const mask = places.length - 1;
    for (let place = hashOf(frame) & mask; ; place = (place + 1) & mask) {
      const slot = places[place] - 1;
      if (slot < 0) return NONE;
      if (this.frameOf[slot] === frame) return slot;
    }
  }

  /**
   * Gives the next slot to a frame that is not in it yet.
   *
   * @returns the slot
   */
  add(frame: number): number {
    const slot = this.used;
    if (slot === this.frameOf.length) this.grow();
    this.used += 1;
    this.frameOf[slot] = frame;
    this.insert(slot);
    return slot;
  }

  private insert(slot: number): void {
    const mask = this.places.length - 1;
    let place = hashOf(this.frameOf[slot]) & mask;
    while (this.places[place] !== 0) place = (place + 1) & mask;
    this.places[place] = slot + 1;
  }

  private grow(): void {
    const frameOf = new Float64Array(this.frameOf.length * 2);
    frameOf.set(this.frameOf);
    this.frameOf = frameOf;
    this.places = new Int32Array(this.places.length * 2);
    for (let slot = 0; slot < this.used; slot += 1) this.insert(slot);
  }
}

/**
 * Multiplicative hash of the low 32 bits of a frame number. At most 256 frames of a 52-bit space share them, and taking
 * the upper bits in would put a floating-point division into each step of a walk.
 */
function hashOf(frame: number): number {
  const mixed = Math.imul(frame | 0, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}
