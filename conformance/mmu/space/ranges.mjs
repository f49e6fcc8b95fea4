// What an address space should map: a plain sorted list of ranges, without any page table.

/**
 * What a page may be used for, and by whom.
 *
 * @typedef {{ rights: 'r' | 'rw' | 'rx' | 'rwx' | 'x', user: boolean }} Attributes
 */

/**
 * Addresses that are mapped in one piece, half-open.
 *
 * @typedef {{ start: bigint, end: bigint, physical: bigint, attributes: Attributes }} Mapping
 */

/** Disjoint ranges in the order of their addresses. */
export class Ranges {
  /** @param {readonly Mapping[]} [list] */
  constructor(list = []) {
    this.list = [...list];
  }

  copy() {
    return new Ranges(this.list);
  }

  /**
   * @param {bigint} start
   * @param {bigint} end
   */
  overlapping(start, end) {
    return this.list.filter((each) => each.start < end && each.end > start);
  }

  /**
   * Whether all of a range is mapped.
   *
   * @param {bigint} start
   * @param {bigint} end
   */
  covers(start, end) {
    const pieces = this.overlapping(start, end).map((each) => cutTo(each, start, end));
    return pieces.reduce((sum, piece) => sum + piece.end - piece.start, 0n) === end - start;
  }

  /**
   * @param {bigint} start
   * @param {bigint} end
   */
  remove(start, end) {
    this.list = this.list.flatMap((each) => {
      if (each.end <= start || each.start >= end) return [each];
      const before = each.start < start ? [cutTo(each, each.start, start)] : [];
      const after = each.end > end ? [cutTo(each, end, each.end)] : [];
      return [...before, ...after];
    });
  }

  /**
   * Maps a range, whatever was there.
   *
   * @param {Mapping} mapping
   */
  put(mapping) {
    this.remove(mapping.start, mapping.end);
    this.list.push(mapping);
    this.list.sort((a, b) => (a.start < b.start ? -1 : 1));
  }

  /**
   * Maps what is not mapped yet of a range.
   *
   * @param {Mapping} mapping
   */
  putBetween(mapping) {
    const there = this.overlapping(mapping.start, mapping.end);
    this.put(mapping);
    for (const each of there) this.put(each);
  }

  /**
   * @param {bigint} start
   * @param {bigint} end
   * @param {Attributes} attributes
   */
  change(start, end, attributes) {
    for (const each of this.overlapping(start, end)) this.put({ ...cutTo(each, start, end), attributes });
  }

  /** @param {bigint} address */
  at(address) {
    const range = this.list.find(({ start, end }) => address >= start && address < end);
    return range && { physical: range.physical + (address - range.start), attributes: range.attributes };
  }
}

/**
 * What of a range is inside others' limits.
 *
 * @param {Mapping} mapping - that overlaps
 * @param {bigint} from
 * @param {bigint} to
 * @returns {Mapping}
 */
function cutTo(mapping, from, to) {
  const start = mapping.start > from ? mapping.start : from;
  const end = mapping.end < to ? mapping.end : to;
  return { ...mapping, start, end, physical: mapping.physical + (start - mapping.start) };
}
