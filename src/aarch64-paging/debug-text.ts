import { highHalf, joinHalves, lowHalf } from '../bits/index.ts';
import { Descriptor } from './descriptor.ts';
import { frameOf, LEAF_LEVEL, SPANS, TABLE, VALID } from './entry.ts';
import { Seed } from './regime.ts';
import type { Tables } from './tables.ts';

/** The lines of a table in the original's debug text of a map, and of all tables below it. */
export function tableLines(tables: Tables, level = tables.level, table = tables.root, indent = ''): string {
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
    const entry = new Descriptor(tables.regime, lowHalf(first), highHalf(first));
    const leads = level < LEAF_LEVEL && (entry.low & (VALID | TABLE)) === (VALID | TABLE);
    let next = i + 1;
    if (!leads) {
      const step = seed || first === 0n ? 0n : BigInt(SPANS[level]) << 12n;
      const same = (k: number) => bits[k] === first || bits[k] === first + step * BigInt(k - i);
      if (!seed || first === 0n) while (next < 512 && same(next)) next += 1;
    }
    const value = first === 0n ? '0' : `${entry}`;
    if (next - i > 1) text += `${indent}${pad(i)}-${seed ? next - 1 : pad(next - 1)}: ${value}\n`;
    else text += `${indent}${pad(i)}${seed ? '' : '    '}: ${value}\n`;
    if (leads) text += tableLines(tables, level + 1, frameOf(entry.low, entry.high), `${indent}  `);
    i = next;
  }
  return text;
}
