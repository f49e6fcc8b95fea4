/** A piece of a text. */
export interface Part {
  readonly text: string;
  readonly changed: boolean;
}

/** Words, and what stands between them. */
const PIECES = /[^ ,]+|[ ,]+/g;

/**
 * Two meanings in pieces: what is equal in both, and what is not. Meanings of mapped pages are compared item by item, between
 * commas; of an item that differs, the words that do. Others have nothing in common: what is new is all of the second.
 */
export function splitMeanings(before: string, after: string): readonly [before: Part[], after: Part[]] {
  const [a, b] = [before.split(', '), after.split(', ')];
  if (a.length < 2 || b.length < 2)
    return [[{ text: before, changed: false }], [{ text: after, changed: before !== after }]];
  return [partsOf(a, b), partsOf(b, a)];
}

function partsOf(items: readonly string[], others: readonly string[]): Part[] {
  const parts: Part[] = [];
  const add = (text: string, changed: boolean) => {
    const last = parts[parts.length - 1];
    if (last?.changed === changed) parts[parts.length - 1] = { text: last.text + text, changed };
    else parts.push({ text, changed });
  };
  items.forEach((item, i) => {
    if (i > 0) add(', ', false);
    const pieces = item.match(PIECES) ?? [];
    const beside = others[i]?.match(PIECES) ?? [];
    for (const [k, piece] of pieces.entries()) add(piece, piece !== beside[k]);
  });
  return parts;
}
