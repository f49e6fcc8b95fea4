// The programs of docs/space.md run one after the other, and each value in a comment is what they give.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

test('docs/space.md', () => {
  const text = readFileSync(`${ROOT}docs/space.md`, 'utf8');
  const program = Array.from(text.matchAll(/```js\n([\s\S]*?)```/g), ([, block]) => block).join('');
  const imports = program.match(/^import .*$/gm)?.join('\n') ?? '';
  let values = 0;
  const checked = program
    .replace(/^import .*$/gm, '')
    .replace(/^(.*); \/\/ = (.*)$/gm, (_, expression, value) => {
      values += 1;
      return `check(${JSON.stringify(expression)}, ${JSON.stringify(value)}, ${expression});`;
    })
    .replace(/^(.*); \/\/ throws (\w+)$/gm, (_, expression, code) => {
      values += 1;
      return `try { ${expression}; console.log('no ${code}'); } catch (error) { check('error', "'${code}'", error.code); }`;
    });
  // Beside the examples, so that the package is found by its name.
  const file = `${ROOT}examples/.space.${process.pid}.mjs`;
  const check =
    "import { inspect } from 'node:util';\nconst check = (what, wanted, value) => {\n" +
    '  const found = inspect(value, { breakLength: Infinity, compact: 9 });\n' +
    '  if (found !== wanted) console.log(JSON.stringify({ what, found, wanted }));\n};\n';
  try {
    writeFileSync(file, `${check}${imports}\n${checked}`);
    const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' });
  } finally {
    rmSync(file, { force: true });
  }
  expect(values).toBeGreaterThan(30);
});
