import { expect, test } from 'vitest';
import { splitMeanings } from '../../web/meaning-parts.ts';

/** Parts as one text, what changed in brackets. */
const marked = (before: string, after: string) =>
  splitMeanings(before, after).map((parts) =>
    parts.map(({ text, changed }) => (changed ? `[${text}]` : text)).join(''),
  );

test('of rights that change, the rights of that privilege alone stand out', () => {
  expect(
    marked(
      '0x0000000000001000, user rw-, supervisor rw-, WB, global',
      '0x0000000000001000, user rw-, supervisor r--, WB, global',
    ),
  ).toEqual([
    '0x0000000000001000, user rw-, supervisor [rw-], WB, global',
    '0x0000000000001000, user rw-, supervisor [r--], WB, global',
  ]);
});

test('what one side has more than the other stands out', () => {
  expect(
    marked('0x0000000000001000, U r--, S r--, PMA', '0x0000000000002000, U r--, S r--, NC, global'),
  ).toEqual([
    '[0x0000000000001000], U r--, S r--, [PMA]',
    '[0x0000000000002000], U r--, S r--, [NC], [global]',
  ]);
});

test('where nothing can be compared, all of what is new stands out', () => {
  expect(marked('not mapped', '0x0000000000001000, EL0 ---, EL1 rw-, WB')).toEqual([
    'not mapped',
    '[0x0000000000001000, EL0 ---, EL1 rw-, WB]',
  ]);
  expect(
    marked('not in image: the table at 0x0000000000001000', 'not in image: the table at 0x0000000000002000'),
  ).toEqual([
    'not in image: the table at 0x0000000000001000',
    '[not in image: the table at 0x0000000000002000]',
  ]);
  expect(marked('not mapped', 'not mapped')).toEqual(['not mapped', 'not mapped']);
});
