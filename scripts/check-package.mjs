// Checks what ships: packs the package, installs the tarball in an empty folder and uses it as a stranger would.
// Usage: node scripts/check-package.mjs [SAMPLE]

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { rolldown } from 'rolldown';
import ts from 'typescript';
import { Checks, ROOT, run, SAMPLE } from './checks.mjs';

const TARBALL_LIMIT = 1_000_000;
/** What a face may weigh in a browser, minified and packed with gzip, with everything that it imports. */
const FACE_LIMIT = 15 * 1024;
/** What the explorer's page may weigh, packed with gzip: its script, which holds its worker, and its style. */
const PAGE_LIMIT = 150 * 1024;
const FACES = ['./x86_64', './aarch64-paging', './hal-core', './hyperlight-vmem'];

const sample = resolve(ROOT, process.argv[2] ?? SAMPLE);
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const entryPoints = Object.entries(manifest.exports)
  .filter(([, path]) => path.endsWith('.js'))
  .map(([subPath, path]) => ({ name: join(manifest.name, subPath), file: join(ROOT, path), subPath }));

const folder = mkdtempSync(join(tmpdir(), 'tablewalk-package-'));
const checks = new Checks();
try {
  if (await checks.check('build', () => void run('npm', ['run', '--silent', 'build']))) {
    await checkDependencies();
    await checkSizes();
    await checkTarball();
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
checks.finish();

/** No entry point reaches a bare package name; only `source/node` reaches `node:*`. */
async function checkDependencies() {
  for (const { name, file, subPath } of entryPoints) {
    await checks.check(`${name} has no runtime dependency`, () => {
      const seen = new Set();
      const outside = reach(file, seen).filter(
        (found) => !(found.specifier.startsWith('node:') && subPath === './source/node'),
      );
      if (outside.length > 0) {
        throw new Error(outside.map((found) => `${found.from} imports ${found.specifier}`).join('; '));
      }
      return `${seen.size} files`;
    });
  }
}

async function checkSizes() {
  await checks.check(`the explorer's page has at most ${PAGE_LIMIT} bytes, packed with gzip`, () => {
    const names = ['index.html', 'explorer.js', 'explorer.css'];
    const sizes = names.map((name) => gzipSync(readFileSync(join(ROOT, 'dist/web', name))).length);
    const size = sizes.reduce((a, b) => a + b);
    if (size > PAGE_LIMIT) throw new Error(`${size} bytes`);
    return `${size} bytes`;
  });
  for (const { name, file } of entryPoints.filter(({ subPath }) => FACES.includes(subPath))) {
    await checks.check(`${name} has at most ${FACE_LIMIT} bytes, minified and packed with gzip`, async () => {
      const bundle = await rolldown({ input: file, logLevel: 'silent' });
      const { output } = await bundle.generate({ format: 'es', minify: true });
      const size = gzipSync(output[0].code).length;
      if (size > FACE_LIMIT) throw new Error(`${size} bytes`);
      return `${size} bytes`;
    });
  }
}

/** The imports that leave `dist/`, from a file and all that it imports. */
function reach(file, seen) {
  if (seen.has(file)) {
    return [];
  }
  seen.add(file);
  return ts
    .preProcessFile(readFileSync(file, 'utf8'), true, true)
    .importedFiles.flatMap(({ fileName }) =>
      fileName.startsWith('.')
        ? reach(join(dirname(file), fileName), seen)
        : [{ from: relative(ROOT, file), specifier: fileName }],
    );
}

async function checkTarball() {
  let tarball = '';
  let files = [];
  await checks.check(`the tarball has at most ${TARBALL_LIMIT} bytes`, () => {
    const [packed] = JSON.parse(
      run('npm', ['pack', '--json', '--silent', '--ignore-scripts', '--pack-destination', folder]),
    );
    tarball = join(folder, packed.filename);
    files = packed.files.map(({ path }) => path);
    const { size } = statSync(tarball);
    if (size > TARBALL_LIMIT) {
      throw new Error(`${size} bytes`);
    }
    return `${size} bytes, ${files.length} files`;
  });
  if (tarball === '') {
    return;
  }
  await checks.check('every file in the tarball under dist/ has a source', () => {
    // `tsc` leaves behind what it once wrote for a file that is gone.
    const stale = files.filter(
      (path) =>
        /^dist\/(?!web\/).*\.js$/.test(path) &&
        !existsSync(join(ROOT, path.replace(/^dist/, 'src').replace(/js$/, 'ts'))),
    );
    if (stale.length > 0) {
      throw new Error(`remove ${stale.join(', ')}`);
    }
  });
  await checks.check('publint', () => void run('npx', ['publint', 'run', '--strict', tarball]));
  await checks.check(
    'attw, ESM only',
    () => void run('npx', ['attw', tarball, '--profile', 'esm-only', '--no-definitely-typed', '--no-color']),
  );

  const user = join(folder, 'user');
  mkdirSync(user);
  writeFileSync(join(user, 'package.json'), '{ "private": true, "type": "module" }\n');
  const installed = await checks.check(
    'the tarball installs in an empty folder',
    () => void run('npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', tarball], user),
  );
  if (installed) {
    await checkImports(user);
    await checkCommand(user);
  }
}

async function checkImports(user) {
  for (const { name } of entryPoints) {
    await checks.check(`plain JavaScript imports ${name}`, () => {
      const count = run(
        process.execPath,
        ['--input-type=module', '-e', `console.log(Object.keys(await import('${name}')).length)`],
        user,
      ).trim();
      return `${count} values`;
    });
  }
  const browserSafe = entryPoints.filter(({ subPath }) => subPath !== './source/node');
  await checkTypes(user, 'without the types of Node', browserSafe, []);
  await checkTypes(user, 'with the types of Node', entryPoints, ['node']);
}

/** Compiles a program that imports entry points, checking their declaration files too, and runs it. */
async function checkTypes(user, label, entries, types) {
  await checks.check(`TypeScript imports every entry point, ${label}`, () => {
    const imports = entries.map(({ name }, i) => `import * as m${i} from '${name}';\n`).join('');
    const all = entries.map((_, i) => `m${i}`).join(', ');
    writeFileSync(
      join(user, 'main.ts'),
      `${imports}const all: readonly object[] = [${all}];\nexport const count: number = all.length;\n`,
    );
    const options = {
      target: 'es2023',
      // `Blob` and `fetch` come from one of these two.
      lib: types.includes('node') ? ['es2023', 'esnext.disposable'] : ['es2023', 'dom', 'esnext.disposable'],
      module: 'nodenext',
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      types,
      typeRoots: [join(ROOT, 'node_modules/@types')],
    };
    writeFileSync(
      join(user, 'tsconfig.json'),
      JSON.stringify({ compilerOptions: options, files: ['main.ts'] }),
    );
    run(process.execPath, [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', user], user);
    run(process.execPath, ['main.js'], user);
  });
}

async function checkCommand(user) {
  await checks.check('npx tablewalk --version', () => {
    const printed = run('npx', ['--no-install', 'tablewalk', '--version'], user).trim();
    if (printed !== manifest.version) {
      throw new Error(`printed '${printed}', expected '${manifest.version}'`);
    }
    return printed;
  });
  await checks.check('npx tablewalk info SAMPLE', () => {
    if (!existsSync(sample)) {
      throw new Error(`${relative(ROOT, sample)} is not there`);
    }
    const printed = run('npx', ['--no-install', 'tablewalk', 'info', sample], user);
    if (printed.trim() === '') {
      throw new Error('printed nothing');
    }
    return `${printed.trim().split('\n').length} lines`;
  });
}
