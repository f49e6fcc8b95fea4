import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ERROR_CODES, PageTableError } from '../src/bits/index.ts';

test('docs/errors.md has one full row per error code, in the order of the code', () => {
  const text = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  for (const row of rows) {
    expect(row).toMatch(/^\| `[A-Z_]+` \| [^|]+\. \| [^|]+\. \|$/);
  }
  expect(rows.map((row) => row.split('`')[1])).toEqual([...ERROR_CODES]);
});

test('an error carries its code, its detail and the error that led to it', () => {
  const cause = new Error('disk on fire');
  const error = new PageTableError('READ_FAILED', 'read: frame 0x5 failed', { frame: 5 }, { cause });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({
    name: 'PageTableError',
    code: 'READ_FAILED',
    message: 'read: frame 0x5 failed',
    detail: { frame: 5 },
    cause,
  });
});
