import { expect, test } from 'vitest';
import { cellAfterKey, columnsFor } from '../../web/parts/cell-grid.ts';

test('small tables are one line, large ones about as high as wide', () => {
  expect([2, 4, 8, 512, 1024, 2048, 8192].map(columnsFor)).toEqual([2, 4, 8, 32, 32, 64, 128]);
});

test('arrow keys lead to the cell beside, above and below, and stop at the ends', () => {
  expect(cellAfterKey(512, 40, 'ArrowRight')).toBe(41);
  expect(cellAfterKey(512, 40, 'ArrowDown')).toBe(72);
  expect(cellAfterKey(512, 40, 'ArrowUp')).toBe(8);
  expect(cellAfterKey(512, 3, 'ArrowUp')).toBe(0);
  expect(cellAfterKey(512, 511, 'ArrowRight')).toBe(511);
  expect(cellAfterKey(4, undefined, 'ArrowRight')).toBe(0);
  expect(cellAfterKey(512, 40, 'End')).toBe(511);
  expect(cellAfterKey(512, 40, 'Tab')).toBeUndefined();
});
