/** Random numbers that follow from a seed. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  /** A whole number in `[0, 2^32)`: the generator of Marsaglia's "Xorshift RNGs" with shifts 13, 17 and 5, begun away from 0. */
  next(): number {
    let x = (this.state + 0x9e37_79b9) | 0;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return Math.imul(x, 0x2c1b_3c6d) >>> 0;
  }

  /** A whole number in `[0, limit)`. */
  below(limit: number): number {
    return Math.floor((this.next() / 2 ** 32) * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability * 2 ** 32;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** Random bits, at most 64. */
  bits(count: number): bigint {
    return BigInt.asUintN(count, (BigInt(this.next()) << 32n) | BigInt(this.next()));
  }
}
