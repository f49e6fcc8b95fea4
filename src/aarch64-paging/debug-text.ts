import { highHalf, joinHalves, lowHalf } from '../bits/index.ts';
import { Descriptor, descriptorText } from './descriptor.ts';
import { ADDRESS, frameOf, LEAF_LEVEL, SPANS, TABLE, VALID } from './entry.ts';
import { Seed } from './regime.ts';
import type { Tables } from './tables.ts';

/**
 * The lines of a table in the original's debug text of a map, and of all tables below it.
 *
 * @param texts - what was found of flags so far: most entries have the same
 */
export function tableLines(
  tables: Tables,
  level = tables.level,
  table = tables.root,
  indent = '',
  texts = new Map<bigint, string>(),
): string {
  const start = tables.place(table);
  const bits = Array.from({ length: 512 }, (_, i) => {
    const low = tables.load(start + i * 2);
    return joinHalves(low, tables.memory.high);
  });
  const seed = tables.regime === Seed;
  // Numbers of entries are padded, save the last of a run in the shape of 0.5.
  const pad = (index: number) => String(index).padEnd(3);
  let text = '';
  for (let i = 0; i < 512; ) {
    const first = bits[i];
    const low = lowHalf(first);
    const high = highHalf(first);
    const leads = level < LEAF_LEVEL && (low & (VALID | TABLE)) === (VALID | TABLE);
    let next = i + 1;
    if (!leads) {
      const step = seed || first === 0n ? 0n : BigInt(SPANS[level]) << 12n;
      const same = (k: number) => bits[k] === first || bits[k] === first + step * BigInt(k - i);
      if (!seed || first === 0n) while (next < 512 && same(next)) next += 1;
    }
    const key = first & ~ADDRESS;
    let flags = texts.get(key);
    if (flags === undefined) {
      flags = new Descriptor(tables.regime, low, high).flagsText();
      texts.set(key, flags);
    }
    const value = first === 0n ? '0' : descriptorText(first, flags);
    if (next - i > 1) text += `${indent}${pad(i)}-${seed ? next - 1 : pad(next - 1)}: ${value}\n`;
    else text += `${indent}${pad(i)}${seed ? '' : '    '}: ${value}\n`;
    if (leads) text += tableLines(tables, level + 1, frameOf(low, high), `${indent}  `, texts);
    i = next;
  }
  return text;
}
