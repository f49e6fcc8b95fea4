import { expect, test } from 'vitest';
import {
  contentHeight,
  MAX_HEIGHT,
  offsetShowing,
  positionAt,
  rowAfterKey,
  rowsAt,
  scrolledTo,
} from '../../web/parts/list-rows.ts';

const START = { scrollTop: 0, offset: 0 };
const short = { count: 1000, rowHeight: 20, view: 400 };
/** 40 million pixels of rows: more than any browser's elements have. */
const long = { count: 2_000_000, rowHeight: 20, view: 400 };

test('a list that fits an element scrolls as the browser does', () => {
  expect(contentHeight(short)).toBe(20_000);
  expect(scrolledTo(short, START, 19_600)).toEqual({ scrollTop: 19_600, offset: 19_600 });
  expect(positionAt(short, 777)).toEqual({ scrollTop: 777, offset: 777 });
});

test('a list taller than an element keeps the element at its greatest height and reaches both ends', () => {
  expect(contentHeight(long)).toBe(MAX_HEIGHT);
  const bottom = MAX_HEIGHT - long.view;
  expect(scrolledTo(long, START, bottom)).toEqual({ scrollTop: bottom, offset: 40_000_000 - 400 });
  expect(rowsAt(long, 40_000_000 - 400).to).toBe(long.count);
  const middle = scrolledTo(long, START, bottom / 2);
  expect(middle.offset).toBeCloseTo((40_000_000 - 400) / 2, 0);
  expect(scrolledTo(long, middle, 0).offset).toBe(0);
});

test('a wheel moves the rows of a tall list by the pixels that it turns', () => {
  const before = positionAt(long, 20_000_000);
  const after = scrolledTo(long, before, before.scrollTop + 100);
  expect(after.offset - before.offset).toBe(100);
  // At rest the scroll bar goes where the rows are; they do not move with it.
  expect(positionAt(long, after.offset).offset).toBe(after.offset);
});

test('every row that is seen is drawn, and none beyond the ends', () => {
  for (const offset of [0, 1, 19, 20, 9_999, 19_600]) {
    const { from, to } = rowsAt(short, offset);
    expect(from * 20).toBeLessThanOrEqual(offset);
    expect(to * 20).toBeGreaterThanOrEqual(Math.min(offset + 400, 20_000));
    expect(from).toBeGreaterThanOrEqual(0);
    expect(to).toBeLessThanOrEqual(1000);
    expect(to - from).toBeLessThan(40);
  }
  expect(rowsAt({ ...short, count: 0 }, 0)).toEqual({ from: 0, to: 0 });
});

test('a row is shown by the least scrolling', () => {
  expect(offsetShowing(short, 100, 6)).toBe(100);
  expect(offsetShowing(short, 100, 2)).toBe(40);
  expect(offsetShowing(short, 100, 30)).toBe(31 * 20 - 400);
  expect(offsetShowing(short, 0, 999)).toBe(19_600);
});

test('keys lead from row to row and stop at the ends', () => {
  expect(rowAfterKey(short, 5, 'ArrowDown')).toBe(6);
  expect(rowAfterKey(short, 0, 'ArrowUp')).toBe(0);
  expect(rowAfterKey(short, 5, 'PageDown')).toBe(24);
  expect(rowAfterKey(short, 5, 'PageUp')).toBe(0);
  expect(rowAfterKey(short, 5, 'End')).toBe(999);
  expect(rowAfterKey(short, 5, 'Home')).toBe(0);
  expect(rowAfterKey(short, undefined, 'ArrowDown')).toBe(0);
  expect(rowAfterKey(short, 5, 'constructor')).toBeUndefined();
  expect(rowAfterKey({ ...short, count: 0 }, undefined, 'End')).toBeUndefined();
});
