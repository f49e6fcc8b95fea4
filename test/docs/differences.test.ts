// docs/differences.md has a row for every difference that a replay may pass over, under a name of its own.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const rows = readFileSync(`${ROOT}docs/differences.md`, 'utf8')
  .split('\n')
  .filter((line) => /^\| (?!name |---)/.test(line));
const names = rows.map((row) => row.split('`')[1]);

test('each row has a name of its own, what the original does, what is done here, and why', () => {
  expect(rows.length).toBeGreaterThan(20);
  for (const row of rows)
    expect(row).toMatch(/^\| `[a-z0-9]+(-[a-z0-9]+)+` \| [^|]+\. \| [^|]+\. \| [^|]+\. \|$/);
  expect(new Set(names).size).toBe(names.length);
});

test('each difference that a replay may pass over has a row', async () => {
  const { DELIBERATE } = await import(`${ROOT}conformance/replay/systems.mjs`);
  for (const name of DELIBERATE) expect(names).toContain(name);
});
