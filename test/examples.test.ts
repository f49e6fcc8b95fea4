import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const FOLDER = fileURLToPath(new URL('../examples/', import.meta.url));
const EXAMPLES = readdirSync(FOLDER).filter((name) => name.endsWith('.mjs'));

it.each(EXAMPLES)('%s prints what its last comment says, against the built package', (name) => {
  const source = readFileSync(FOLDER + name, 'utf8');
  const expected = /\/\* prints\n([\s\S]*)\*\/\s*$/.exec(source)?.[1];
  const { stdout, stderr, status } = spawnSync(process.execPath, [FOLDER + name], { encoding: 'utf8' });
  expect({ stdout, stderr, status }).toEqual({ stdout: expected, stderr: '', status: 0 });
});
