// Mutation testing: changes one thing of the built library at a time and sees whether tests fail.
//
//   npm run mutate -- [--folders format,walk,edit] [--sample N] [--seed S] [--jobs J] [--out FILE] [--only FILE:LINE,…]
//
// Each folder's mutants are counted; `--sample` of them, spread evenly over all files, are tried, with the tests that are about the
// folder. `--only` tries those of some lines instead. The tests run on copies of the repository, so that nothing else is disturbed. What survives is listed with its place.
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TESTS = {
  format: ['test/format', 'test/walk', 'test/space', 'test/sample'],
  walk: ['test/walk', 'test/format', 'test/space', 'test/inspect', 'test/hostile'],
  edit: ['test/space'],
};
/** What is tried with a mutant that those tests do not find. */
const MORE = {
  format: ['test/inspect', 'test/cpu', 'test/cli', 'test/oracle', 'test/source'],
  walk: ['test/cpu', 'test/capture', 'test/cli', 'test/x86_64'],
  edit: [],
};
/** Operations of the property tests: a mutant that survives so many is taken to survive. */
const OPERATIONS = '2000';
/** A mutant that runs so long has a loop without an end: it is found. */
const MOST_MS = 150_000;

const { values } = parseArgs({
  options: {
    folders: { type: 'string', default: 'format,walk,edit' },
    only: { type: 'string', default: '' },
    sample: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '2' },
    out: { type: 'string' },
  },
});

const BINARY = new Map([
  [ts.SyntaxKind.PlusToken, '-'],
  [ts.SyntaxKind.MinusToken, '+'],
  [ts.SyntaxKind.AsteriskToken, '/'],
  [ts.SyntaxKind.SlashToken, '*'],
  [ts.SyntaxKind.PercentToken, '*'],
  [ts.SyntaxKind.LessThanToken, '<='],
  [ts.SyntaxKind.LessThanEqualsToken, '<'],
  [ts.SyntaxKind.GreaterThanToken, '>='],
  [ts.SyntaxKind.GreaterThanEqualsToken, '>'],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, '!=='],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, '==='],
  [ts.SyntaxKind.AmpersandAmpersandToken, '||'],
  [ts.SyntaxKind.BarBarToken, '&&'],
  [ts.SyntaxKind.AmpersandToken, '|'],
  [ts.SyntaxKind.BarToken, '&'],
  [ts.SyntaxKind.CaretToken, '&'],
  [ts.SyntaxKind.LessThanLessThanToken, '>>>'],
  [ts.SyntaxKind.GreaterThanGreaterThanGreaterThanToken, '<<'],
]);

/** All mutants of a file: where, and what is put there. Texts of errors are left alone. */
function mutantsOf(path) {
  const text = readFileSync(path, 'utf8');
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  const mutants = [];
  const add = (node, replacement, what) => {
    const start = node.getStart(source);
    const { line } = source.getLineAndCharacterOfPosition(start);
    mutants.push({
      path,
      start,
      end: node.getEnd(),
      replacement,
      what,
      line: line + 1,
      code: text.split('\n')[line].trim(),
    });
  };
  const visit = (node) => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || ts.isThrowStatement(node)) return;
    if (ts.isTemplateExpression(node) || isError(node)) return;
    if (ts.isBinaryExpression(node)) {
      const to = BINARY.get(node.operatorToken.kind);
      if (to !== undefined) add(node.operatorToken, to, `${node.operatorToken.getText(source)} is ${to}`);
    } else if (ts.isNumericLiteral(node)) {
      add(node, String(Number(node.text) + 1), `${node.getText(source)} is ${Number(node.text) + 1}`);
    } else if (ts.isBigIntLiteral(node)) {
      add(node, `${BigInt(node.text.slice(0, -1)) + 1n}n`, `${node.getText(source)} is one more`);
    } else if (node.kind === ts.SyntaxKind.TrueKeyword) add(node, 'false', 'true is false');
    else if (node.kind === ts.SyntaxKind.FalseKeyword) add(node, 'true', 'false is true');
    else if (ts.isPrefixUnaryExpression(node) && '!~'.includes(text[node.getStart(source)])) {
      add(node, node.operand.getText(source), `without ${text[node.getStart(source)]}`);
    } else if (ts.isIfStatement(node)) {
      add(node.expression, 'true', 'the condition is true');
      add(node.expression, 'false', 'the condition is false');
    } else if (ts.isConditionalExpression(node)) {
      add(node, node.whenTrue.getText(source), 'always the first');
      add(node, node.whenFalse.getText(source), 'always the second');
    } else if (ts.isExpressionStatement(node) && !node.getText(source).startsWith('super(')) {
      add(node, ';', 'left out');
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return mutants;
}

function isError(node) {
  return ts.isNewExpression(node) && /Error$/.test(node.expression.getText());
}

function filesOf(folder) {
  return readdirSync(join(ROOT, 'dist', folder), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.js') && !name.endsWith('index.js'))
    .sort()
    .map((name) => join('dist', folder, name));
}

/** A copy of the repository for one worker. */
function makeCopy() {
  const folder = mkdtempSync(join(tmpdir(), 'mutants-'));
  for (const name of readdirSync(ROOT).filter((one) => !one.startsWith('.') && one !== 'node_modules')) {
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

/** Whether the tests of a folder find a mutant. */
async function isKilled(copy, mutant, folder) {
  const path = join(copy, mutant.path);
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.slice(0, mutant.start) + mutant.replacement + text.slice(mutant.end));
  const found =
    (await fails(copy, TESTS[folder])) || (MORE[folder].length > 0 && (await fails(copy, MORE[folder])));
  writeFileSync(path, text);
  return found;
}

function fails(copy, tests) {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [
        'node_modules/vitest/vitest.mjs',
        'run',
        '--mode',
        'built',
        '--bail',
        '1',
        '--maxWorkers',
        '1',
        ...tests,
      ],
      { cwd: copy, stdio: 'ignore', env: { ...process.env, SPACE_OPERATIONS: OPERATIONS } },
    );
    const timer = setTimeout(() => child.kill('SIGKILL'), MOST_MS);
    child.on('exit', (code) => {
      clearTimeout(timer);
      resolve(code !== 0);
    });
  });
}

const folders = values.folders.split(',');
const sample = Number(values.sample);
const all = folders.map((folder) => ({
  folder,
  mutants: filesOf(folder).flatMap((path) => mutantsOf(join(ROOT, path)).map((one) => ({ ...one, path }))),
}));
const total = all.reduce((sum, { mutants }) => sum + mutants.length, 0);
const queue = [];
const lines = values.only === '' ? [] : values.only.split(',');
for (const { folder, mutants } of all) {
  if (lines.length > 0) {
    const chosen = mutants.filter(({ path, line }) => lines.includes(`${path}:${line}`));
    queue.push(...chosen.map((mutant) => ({ folder, mutant })));
    continue;
  }
  const count = Math.min(mutants.length, Math.round((sample * mutants.length) / total));
  const step = mutants.length / count;
  const offset = (Number(values.seed) * 0.618_034) % 1;
  for (let i = 0; i < count; i += 1)
    queue.push({ folder, mutant: mutants[Math.floor((i + offset) * step) % mutants.length] });
}
const results = [];
const work = async () => {
  const copy = makeCopy();
  try {
    // Otherwise each mutant would seem to be found.
    for (const folder of new Set(queue.map((one) => one.folder))) {
      if (await fails(copy, [...TESTS[folder], ...MORE[folder]]))
        throw new Error(`the tests of ${folder} fail without a mutant`);
    }
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const killed = await isKilled(copy, next.mutant, next.folder);
      results.push({ ...next, killed });
      const { path, line, what, code } = next.mutant;
      console.log(`${killed ? 'killed  ' : 'SURVIVED'} ${path}:${line} ${what}: ${code.slice(0, 90)}`);
    }
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
};
await Promise.all(Array.from({ length: Number(values.jobs) }, work));
let text = '';
for (const { folder, mutants } of all) {
  const own = results.filter((one) => one.folder === folder);
  const killed = own.filter((one) => one.killed).length;
  text += `${folder}: ${mutants.length} mutants, ${own.length} tried, ${killed} killed (${((100 * killed) / Math.max(1, own.length)).toFixed(1)} %)\n`;
}
for (const { mutant, killed } of results) {
  if (!killed) text += `${mutant.path}:${mutant.line} ${mutant.what}: ${mutant.code}\n`;
}
console.log(text);
if (values.out !== undefined) writeFileSync(values.out, text);
