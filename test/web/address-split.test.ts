import { expect, test } from 'vitest';
import { splitAddress } from '../../web/parts/address-split.ts';

const level = (indexHigh: number, indexLow: number) => ({ table: 't', entry: 'e', indexHigh, indexLow });
/** Intel SDM vol. 3A, figure "Linear-Address Translation to a 4-KByte Page Using 4-Level Paging". */
const FOUR = { levels: [level(47, 39), level(38, 30), level(29, 21), level(20, 12)] };
/** The same manual, figure "Linear-Address Translation to a 4-KByte Page Using 32-Bit Paging". */
const TWO = { levels: [level(31, 22), level(21, 12)] };

test('an address splits into the bits above, an index for each level, and the offset', () => {
  const parts = splitAddress(0xffff_8080_4020_1fffn, FOUR, { read: 4, isPage: true });
  expect(parts.map(({ high, low, kind, value }) => [high, low, kind, value])).toEqual([
    [63, 48, 'beyond', 0xffffn],
    [47, 39, 'index', 0x101n],
    [38, 30, 'index', 1n],
    [29, 21, 'index', 1n],
    [20, 12, 'index', 1n],
    [11, 0, 'offset', 0xfffn],
  ]);
});

test('in a large page all bits below the last index are the offset', () => {
  const parts = splitAddress(0x2f_edcbn, FOUR, { read: 3, isPage: true });
  expect(parts.at(-1)).toMatchObject({ high: 20, low: 0, kind: 'offset', value: 0xf_edcbn });
  expect(parts).toHaveLength(5);
});

test('a walk that ends early leaves indexes unread', () => {
  const kinds = splitAddress(0n, FOUR, { read: 2, isPage: false }).map(({ kind }) => kind);
  expect(kinds).toEqual(['beyond', 'index', 'index', 'unread', 'unread', 'offset']);
});

test('the parts of an address cover its 64 bits once, also with 32-bit addresses', () => {
  for (const space of [FOUR, TWO]) {
    const parts = splitAddress(0x1234_5678n, space, { read: 1, isPage: false });
    expect(parts[0].high).toBe(63);
    expect(parts.at(-1)?.low).toBe(0);
    for (let i = 1; i < parts.length; i += 1) expect(parts[i].high).toBe(parts[i - 1].low - 1);
    expect(parts.reduce((sum, { low, value }) => sum + (value << BigInt(low)), 0n)).toBe(0x1234_5678n);
  }
});
