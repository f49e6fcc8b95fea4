import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, it } from 'vitest';

const FOLDER = fileURLToPath(new URL('../examples/', import.meta.url));
const namesIn = (folder: string, ending: string) =>
  readdirSync(folder).filter((name) => name.endsWith(ending) && !name.startsWith('.'));

/** What the last comment of an example says that it prints. */
const printedBy = (source: string) => /\/\* prints\n([\s\S]*)\*\/\s*$/.exec(source)?.[1];

/** What other comments say that it prints with an argument. */
const printedWith = (source: string) =>
  Array.from(source.matchAll(/\/\* with (\S+) prints\n([\s\S]*?)\*\//g), ([, argument, text]) => ({
    argument,
    text,
  }));

/** Runs an example, which must print what its last comment says, and with arguments what other comments say. */
function expectPrinted(file: string, source: string): void {
  const all = [{ argument: undefined, text: printedBy(source) }, ...printedWith(source)];
  for (const { argument, text } of all) {
    const args = argument === undefined ? [file] : [file, argument];
    const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect({ stdout, stderr, status }).toEqual({ stdout: text, stderr: '', status: 0 });
  }
}

/** Texts of the package and of libraries, as the compiler has read them. */
const parsed = new Map<string, ts.SourceFile | undefined>();

/** What the compiler says of a text, were it one of the examples, with the declarations of the built package. */
function diagnose(name: string, source: string): { code: number; text: string }[] {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    // For Node: without what browsers have.
    lib: ['lib.es2023.d.ts'],
    module: ts.ModuleKind.NodeNext,
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: true,
    noEmit: true,
    types: ['node'],
  };
  const host = ts.createCompilerHost(options);
  const { getSourceFile } = host;
  host.getSourceFile = (path, version) => {
    if (path === FOLDER + name) return ts.createSourceFile(path, source, version);
    if (!parsed.has(path)) parsed.set(path, getSourceFile(path, version));
    return parsed.get(path);
  };
  const program = ts.createProgram([FOLDER + name], options, host);
  return ts.getPreEmitDiagnostics(program).map(({ code, messageText }) => ({
    code,
    text: ts.flattenDiagnosticMessageText(messageText, '\n'),
  }));
}

// `npm start` runs the tour.
it.each(namesIn(FOLDER, '.mjs').filter((name) => name !== 'tour.mjs'))(
  '%s prints what its last comment says, against the built package',
  (name) => {
    expectPrinted(FOLDER + name, readFileSync(FOLDER + name, 'utf8'));
  },
);

it('one program of under 60 lines sets a guest up for three architectures', () => {
  const source = readFileSync(`${FOLDER}vmm-guest.mjs`, 'utf8');
  const program = source.split('/* with')[0].trimEnd().split('\n');
  expect(program.length).toBeLessThan(60);
  expect(Math.max(...program.map((line) => line.length))).toBeLessThanOrEqual(110);
  expect(printedWith(source).map(({ argument }) => argument)).toEqual(['aarch64-4k', 'sv48']);
});

it.each(namesIn(FOLDER, '.ts'))('%s compiles, and prints what its last comment says', (name) => {
  const source = readFileSync(FOLDER + name, 'utf8');
  expect(diagnose(name, source)).toEqual([]);
  // Beside the example, so that the package is found by its name.
  const script = `${FOLDER}.${name}.${process.pid}.mjs`;
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext },
  });
  try {
    writeFileSync(script, outputText);
    expectPrinted(script, source);
  } finally {
    rmSync(script, { force: true });
  }
});

it('the compiler refuses a wrong page size', () => {
  const source = readFileSync(`${FOLDER}page-sizes.ts`, 'utf8');
  const found = diagnose('page-sizes.ts', source.replace(/^.*@ts-expect-error.*\n/m, ''));
  expect(found.map(({ code }) => code)).toEqual([2345]);
  expect(found[0].text).toContain(
    "'PhysFrame<Size4KiB>' is not assignable to parameter of type 'PhysFrame<Size2MiB>'",
  );
});

it('npm start shows the tour, as its last comment says, and a real machine, in at most 80 lines with the four of npm', () => {
  const script = fileURLToPath(new URL('../scripts/start.mjs', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  expect({ stderr, status }).toEqual({ stderr: '', status: 0 });
  const tour = printedBy(readFileSync(`${FOLDER}tour.mjs`, 'utf8')) ?? 'nothing';
  expect(stdout.slice(0, tour.length)).toBe(tour);
  expect(stdout.slice(tour.length)).toMatch(
    /^\n\$ tablewalk info samples\/[\s\S]*\n\$ tablewalk maps samples\//,
  );
  expect(stdout.trimEnd().split('\n').length + 4).toBeLessThanOrEqual(80);
});
