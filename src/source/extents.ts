/** The file offset of bytes that are zero and not in the file. `NaN` stays `NaN` when a distance is added to it. */
export const ZEROS = Number.NaN;

/**
 * Ranges of physical memory and where their bytes are in the file, in three columns: real dumps have tens of
 * thousands of them and hostile ones millions, so there is no object per range.
 */
export class Extents {
  /** Number of ranges. */
  length = 0;
  /** First physical byte address; valid below `length`, as in the other columns. */
  start = new Float64Array(16);
  /** One past the last physical byte address. */
  end = new Float64Array(16);
  /** File offset of the first byte, or {@link ZEROS}. */
  offset = new Float64Array(16);

  /**
   * Appends a range; joins it to the last one where it goes on from there in memory and in the file. An empty range is
   * left out.
   */
  push(start: number, end: number, offset: number): void {
    if (start >= end) return;
    const last = this.length - 1;
    if (last >= 0 && this.end[last] === start) {
      const next = this.offset[last] + (start - this.start[last]);
      if (Object.is(next, offset)) {
        this.end[last] = end;
        return;
      }
    }
    if (this.length === this.start.length) this.grow();
    this.start[this.length] = start;
    this.end[this.length] = end;
    this.offset[this.length] = offset;
    this.length++;
  }

  /** The last range that starts at or below an address; -1 if there is none. The ranges must be sorted. */
  indexAt(address: number): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.start[middle] <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  private grow(): void {
    for (const column of ['start', 'end', 'offset'] as const) {
      const grown = new Float64Array(this.length * 2);
      grown.set(this[column]);
      this[column] = grown;
    }
  }
}

/**
 * Sorts ranges that may overlap and cuts them so that none do. Where several cover a byte, the one that starts lowest
 * gives it; of those that start together, the first.
 */
export function disjoint(ranges: Extents): Extents {
  const { start, end, offset } = ranges;
  const order = Uint32Array.from({ length: ranges.length }, (_, i) => i);
  order.sort((a, b) => start[a] - start[b] || a - b);
  const result = new Extents();
  let covered = 0;
  for (const i of order) {
    const from = Math.max(start[i], covered);
    result.push(from, end[i], offset[i] + (from - start[i]));
    covered = Math.max(covered, end[i]);
  }
  return result;
}

/**
 * Adds zeros where there is no data.
 *
 * @param data - sorted and disjoint
 * @param zeros - sorted and disjoint
 * @returns all data, and what is left of the zeros; sorted and disjoint
 */
export function fillGaps(data: Extents, zeros: Extents): Extents {
  const result = new Extents();
  let z = 0;
  let gapStart = 0;
  for (let d = 0; d <= data.length; d++) {
    const gapEnd = d < data.length ? data.start[d] : Number.POSITIVE_INFINITY;
    while (z < zeros.length && zeros.start[z] < gapEnd) {
      result.push(Math.max(zeros.start[z], gapStart), Math.min(zeros.end[z], gapEnd), ZEROS);
      // What is left of this one may go on behind the data.
      if (zeros.end[z] > gapEnd) break;
      z++;
    }
    if (d === data.length) break;
    result.push(data.start[d], data.end[d], data.offset[d]);
    gapStart = data.end[d];
  }
  return result;
}
