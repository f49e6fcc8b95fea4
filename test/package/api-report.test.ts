import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

test('docs/api.txt is what `npm run api` writes', () => {
  const script = fileURLToPath(new URL('../../scripts/api-report.mjs', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  // The script says what differs and which command to run.
  expect(status, stderr).toBe(0);
});
