import type { FieldWords } from 'tablewalk/report';
import { isSameChange } from '../changes.ts';
import type { Change, TableAt } from '../protocol.ts';

/** Neighbouring bits of an entry that are one field, or that no field describes. */
export interface BitGroup {
  readonly high: number;
  readonly low: number;
  /** `undefined` where no field describes them: of an entry that is not present, all bits but the present one. */
  readonly words: FieldWords | undefined;
}

/**
 * All bits of an entry by their fields, highest first.
 *
 * @param words - lowest bit first, as `fieldWords` gives them
 * @param bits - of the entry: 32 or 64
 */
export function bitGroups(words: readonly FieldWords[], bits: number): BitGroup[] {
  const groups: BitGroup[] = [];
  let next = 0;
  for (const one of words) {
    const { high, low } = one.field;
    if (low > next) groups.push({ high: low - 1, low: next, words: undefined });
    groups.push({ high, low, words: one });
    next = high + 1;
  }
  if (next < bits) groups.push({ high: bits - 1, low: next, words: undefined });
  return groups.reverse();
}

/** The parts of groups that stand in the row of bits `[low, high]`, highest first. */
export function groupsIn(groups: readonly BitGroup[], high: number, low: number): BitGroup[] {
  return groups
    .filter((group) => group.high >= low && group.low <= high)
    .map((group) => ({ ...group, high: Math.min(group.high, high), low: Math.max(group.low, low) }));
}

/** What a bit says: `bit 1, R/W = 1: writable`. */
export function bitText(bit: number, isSet: boolean, words: FieldWords | undefined): string {
  const own = `bit ${bit} = ${isSet ? 1 : 0}`;
  if (words === undefined) return `${own}: not used while the entry is not present`;
  const { field, place, value, meaning } = words;
  const says = meaning === '' ? '' : `: ${meaning}`;
  if (field.high > field.low) return `${own}, of ${field.name} (${place}) = ${value}${says}`;
  if (!isNamed(words)) return `${own}${says}`;
  return `bit ${bit}, ${field.name} = ${value}${says}`;
}

/** Whether the manual has a name for a field: one that is ignored or reserved need not have one. */
export function isNamed({ field: { name, role } }: FieldWords): boolean {
  return !((role === 'ignored' || role === 'reserved') && name === role);
}

/** The bits of an entry that the scratch copy has otherwise than the image. */
export function changedBits(changes: readonly Change[], at: TableAt, index: number): ReadonlySet<number> {
  return new Set(
    changes.flatMap((one) =>
      one.kind === 'entry' && isSameChange(one, { ...one, at, index }) ? [one.bit] : [],
    ),
  );
}
