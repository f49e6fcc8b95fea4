import { addressIn } from '../format/index.ts';
import type { ExplainedField } from '../inspect/index.ts';

/** What is said of one field of an entry. */
export interface FieldWords {
  readonly field: ExplainedField;
  /** Where it stands: `bit 5`, `bits 47:12`. */
  readonly place: string;
  /** Its value as it is shown: `1`, and `0x8ffe000` of more bits than one. */
  readonly value: string;
  /** What the value means: `writable`. Empty where the value says it itself, and where another field says it for both. */
  readonly meaning: string;
  /** All in one: `R/W=1 writable`. Of a bit that is ignored or reserved: `bit 9=1 ignored`. */
  readonly text: string;
  /** Whether it is shown: not if it is ignored or reserved, and 0. */
  readonly shown: boolean;
}

/** Fields that mean something only together; the line `type` says what. */
const TYPE_ROLES: readonly string[] = ['write-through', 'cache-disable', 'pat', 'attribute-index'];

/**
 * What is said of the fields of an entry, lowest bit first.
 *
 * @param fields - highest bits first, as `explain` gives them
 */
export function fieldWords(fields: readonly ExplainedField[]): FieldWords[] {
  return fields.toReversed().map((field, i, ascending) => {
    const wide = field.high > field.low;
    const place = wide ? `bits ${field.high}:${field.low}` : `bit ${field.low}`;
    const coded = typeof field.meaning !== 'string';
    const held = field.role === 'address' ? shownAddress(field) : field.value;
    const value = wide && !coded ? `0x${held.toString(16)}` : `${held}`;
    if (isUnnamed(field)) {
      const meaning = field.role === 'ignored' ? 'ignored' : 'RESERVED, must be 0';
      const shown = field.value !== 0n;
      return { field, place, value, meaning, text: `${place}=${value} ${meaning}`, shown };
    }
    // Of neighbours that say something together, the last one says it.
    const next = ascending[i + 1];
    const isPart = next?.role === field.role && next.text === field.text;
    const meaning = coded && !TYPE_ROLES.includes(field.role) && !isPart ? field.text : '';
    const about = meaning !== '' ? ` ${meaning}` : wide ? ` (${place})` : '';
    return { field, place, value, meaning, text: `${field.name}=${value}${about}`, shown: true };
  });
}

/** `R/W=1 writable`, lowest bit first. Ignored and reserved bits come last, where they are set. */
export function fieldTexts(fields: readonly ExplainedField[]): string[] {
  const words = fieldWords(fields).filter(({ shown }) => shown);
  const named = words.filter(({ field }) => !isUnnamed(field));
  const odd = words.filter(({ field }) => isUnnamed(field));
  return [...[...named, ...odd].map(({ text }) => text), 'all other bits 0'];
}

function isUnnamed({ role }: ExplainedField): boolean {
  return role === 'ignored' || role === 'reserved';
}

/** An address is shown whole, not as the bits that hold it; where its bits stand elsewhere, as the number of its frame. */
function shownAddress(field: ExplainedField): bigint {
  const address = addressIn(field, field.value);
  return field.addressLow === undefined ? address : address >> 12n;
}
