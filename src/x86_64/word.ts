import { joinHalves } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';

/**
 * A 64-bit value as two halves, so that neither a `bigint` nor a double is touched where tables are walked. Immutable.
 */
export abstract class Word {
  // Each class sets its own: a constructor shared by more than four classes stores fields ten times slower (V8 11).
  /** Bits 63:32, signed. */
  abstract readonly high: number;
  /** Bits 31:0, signed. */
  abstract readonly low: number;

  /** Whether both are the same 64 bits. */
  equals(other: this): boolean {
    return this.high === other.high && this.low === other.low;
  }

  /** Order of the unsigned 64-bit values: -1, 0 or 1. */
  compare(other: this): -1 | 0 | 1 {
    return compareWords(this.high, this.low, other.high, other.low);
  }

  /** The 64 bits, so that `<` and `>` compare values. */
  valueOf(): bigint {
    return joinHalves(this.low, this.high);
  }

  /** The original's debug text. */
  abstract toString(): string;

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** Order of two unsigned 64-bit values given as halves: -1, 0 or 1. */
function compareWords(highA: number, lowA: number, highB: number, lowB: number): -1 | 0 | 1 {
  const high = (highA >>> 0) - (highB >>> 0);
  const order = high === 0 ? (lowA >>> 0) - (lowB >>> 0) : high;
  return order === 0 ? 0 : order < 0 ? -1 : 1;
}
