import type { RegionChange } from 'tablewalk/inspect';
import { expect, test } from 'vitest';
import { foldChanges } from '../../web/worker/fold-changes.ts';

const page = (first: number, frame: number, pages = 1): RegionChange => ({
  first,
  end: first + pages,
  before: { kind: 'mapped', frame, rights: 3, memoryType: 'WB', global: false, pageShift: undefined },
  after: { kind: 'faulty' },
});
const hole = (first: number, pages: number): RegionChange => ({
  first,
  end: first + pages,
  before: undefined,
  after: { kind: 'faulty' },
});

test('three alike changes at one stride are one row, two are two', () => {
  expect(foldChanges([page(0, 9), page(16, 9), page(32, 9)])).toEqual([
    { ...page(0, 9), repeat: { count: 3, stride: 16 } },
  ]);
  expect(foldChanges([page(0, 9), page(16, 9)]).map(({ repeat }) => repeat)).toEqual([undefined, undefined]);
});

test('other frames, sizes, meanings and strides are rows of their own', () => {
  const rows = [page(0, 9), page(16, 8), page(32, 9, 2), page(48, 9), page(65, 9), hole(81, 1), page(97, 9)];
  expect(foldChanges(rows)).toEqual(rows.map((one) => ({ ...one, repeat: undefined })));
});

test('a page and the gap behind it repeat together, and what is left over stands by itself', () => {
  const rows = [hole(0, 13)];
  for (let i = 0; i < 1000; i += 1) rows.push(page(13 + 16 * i, 7), hole(14 + 16 * i, 15));
  rows.push(page(13 + 16_000, 7), hole(14 + 16_000, 2));
  expect(foldChanges(rows)).toEqual([
    { ...hole(0, 13), repeat: undefined },
    { ...page(13, 7), repeat: { count: 1000, stride: 16 } },
    { ...hole(14, 15), repeat: { count: 1000, stride: 16 } },
    { ...page(16_013, 7), repeat: undefined },
    { ...hole(16_014, 2), repeat: undefined },
  ]);
});
