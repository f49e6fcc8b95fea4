import { FORMAT_4_LEVEL } from 'tablewalk/format';
import { filterRows, parseRange } from 'tablewalk/report';
import { expect, test } from 'vitest';
import { parseRightsWord, rangeWord, rightsWord } from '../../web/filter-words.ts';

test('checkboxes write the words for rights that docs/command.md names', () => {
  const none = { who: '', read: false, write: false, execute: false } as const;
  expect(rightsWord({ ...none, write: true, execute: true })).toBe('wx');
  expect(rightsWord({ ...none, who: 'user', write: true })).toBe('user:w');
  expect(rightsWord({ ...none, who: 'super', read: true, execute: true })).toBe('super:rx');
});

test('without a right there is no word, whoever is chosen', () => {
  expect(rightsWord(parseRightsWord('user:'))).toBe('');
  expect(rightsWord(parseRightsWord(''))).toBe('');
});

test('every word that checkboxes can write is read again, and maps takes it', () => {
  for (const who of ['', 'user', 'super'] as const) {
    for (let bits = 1; bits < 8; bits += 1) {
      const choice = { who, read: (bits & 1) !== 0, write: (bits & 2) !== 0, execute: (bits & 4) !== 0 };
      const word = rightsWord(choice);
      expect(parseRightsWord(word)).toEqual(choice);
      expect(() => filterRows([], { rights: word }, FORMAT_4_LEVEL)).not.toThrow();
    }
  }
});

test('what maps refuses checks no box', () => {
  expect(parseRightsWord('root:q')).toEqual({ who: '', read: false, write: false, execute: false });
});

test('what the map shows is a range that maps reads as the same pages', () => {
  for (const [first, last] of [
    [0, 0],
    [0x10, 0x1ff],
    [2 ** 52 - 512, 2 ** 52 - 1],
    [0, 2 ** 52 - 1],
  ])
    expect(parseRange(rangeWord({ first, last }))).toEqual({ first, end: last + 1 });
  expect(rangeWord({ first: 2 ** 52 - 1, last: 2 ** 52 - 1 })).toBe('0xfffffffffffff000-0x0');
});
