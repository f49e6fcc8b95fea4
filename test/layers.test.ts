import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SRC = join(ROOT, 'src');

/** What each folder of `src/` may import besides itself: the table of DESIGN, section "Layers". */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  bits: [],
  memory: ['bits'],
  format: ['bits'],
  walk: ['bits', 'memory', 'format'],
  machine: ['bits', 'memory'],
  capture: ['bits', 'memory', 'format', 'walk', 'machine'],
  cpu: ['bits', 'memory', 'format', 'walk'],
  inspect: ['bits', 'memory', 'format', 'walk'],
  session: ['bits', 'memory', 'format', 'walk', 'machine'],
  report: ['bits', 'memory', 'format', 'walk', 'machine', 'inspect', 'session'],
  edit: ['bits', 'memory', 'format', 'walk'],
  space: ['bits', 'memory', 'format', 'walk', 'inspect', 'edit'],
  x86_64: ['bits', 'memory', 'format', 'walk', 'cpu'],
  'aarch64-paging': ['bits', 'memory', 'format', 'walk', 'cpu'],
  'hal-core': ['bits', 'memory', 'format', 'walk', 'cpu'],
  'hyperlight-vmem': ['bits', 'memory'],
  source: ['bits', 'memory', 'machine'],
  'source/node': ['bits', 'memory', 'machine', 'source'],
};

/** The only folders that know Node. */
const NODE_FOLDERS = ['source/node', 'cli'];

type Imports = ReadonlyMap<string, readonly string[]>;

/** The specifiers of every import, re-export, `import()` and import type in a source text. */
function specifiersOf(fileName: string, text: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    let specifier: ts.Node | undefined;
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
      specifier = node.moduleSpecifier;
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      specifier = node.arguments[0];
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      specifier = node.argument.literal;
    }
    if (specifier !== undefined) {
      // A computed `import()` could reach anything, so it is kept, as its text, and refused below.
      found.push(ts.isStringLiteralLike(specifier) ? specifier.text : `(${specifier.getText()})`);
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(fileName, text, ts.ScriptTarget.Latest, true));
  return found;
}

/** The folder of {@link LAYERS} that a path under `src/` belongs to, `cli`, or `''` for a file directly in `src/`. */
function layerOf(file: string): string {
  const parts = file.split('/');
  const two = parts.slice(0, 2).join('/');
  return two in LAYERS && parts.length > 2 ? two : parts.length > 1 ? (parts[0] as string) : '';
}

function resolveFrom(file: string, specifier: string): string {
  return join(dirname(file), specifier).split(sep).join('/');
}

/** What is wrong with one import, or `undefined`. Paths are relative to `src/`. */
function complaint(file: string, specifier: string, entryPoints: ReadonlySet<string>): string | undefined {
  const from = layerOf(file);
  if (specifier.startsWith('node:')) {
    return NODE_FOLDERS.includes(from) ? undefined : `only ${NODE_FOLDERS.join(' and ')} may import node:*`;
  }
  if (!specifier.startsWith('.')) {
    return from === 'cli' ? undefined : 'the library has no runtime dependency';
  }
  const target = resolveFrom(file, specifier);
  if (target.startsWith('..')) {
    return 'outside src';
  }
  const to = layerOf(target);
  if (from === to) {
    return undefined;
  }
  if (from === 'cli') {
    return entryPoints.has(target) ? undefined : 'cli imports public entry points only';
  }
  if (from === '') {
    return to in LAYERS && to !== 'source/node'
      ? undefined
      : `index.ts runs in browsers and may not import ${to}`;
  }
  const allowed = LAYERS[from];
  if (allowed === undefined) {
    return `folder ${from} is not in the table of layers`;
  }
  return allowed.includes(to)
    ? undefined
    : `${from} may import ${[from, ...allowed].join(', ')}, not ${to || 'index.ts'}`;
}

function complaints(imports: Imports, entryPoints: ReadonlySet<string>): string[] {
  return [...imports].flatMap(([file, specifiers]) =>
    specifiers.flatMap((specifier) => {
      const problem = complaint(file, specifier, entryPoints);
      return problem === undefined ? [] : [`${file} imports ${specifier}: ${problem}`];
    }),
  );
}

/** Every cycle that a depth-first search meets, as `a -> b -> a`. */
function cycles(imports: Imports): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    if (at >= 0) {
      found.push([...path.slice(at), file].join(' -> '));
      return;
    }
    if (done.has(file)) {
      return;
    }
    path.push(file);
    for (const specifier of imports.get(file) ?? []) {
      if (specifier.startsWith('.')) {
        visit(resolveFrom(file, specifier));
      }
    }
    path.pop();
    done.add(file);
  };
  for (const file of imports.keys()) {
    visit(file);
  }
  return found;
}

function importsOfSrc(): Imports {
  const files = readdirSync(SRC, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(SRC, join(entry.parentPath, entry.name)).split(sep).join('/'));
  return new Map(files.map((file) => [file, specifiersOf(file, readFileSync(join(SRC, file), 'utf8'))]));
}

function publicEntryPoints(): Set<string> {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    exports: Record<string, string>;
  };
  return new Set(
    Object.values(manifest.exports).map((path) => path.replace(/^\.\/dist\//, '').replace(/\.js$/, '.ts')),
  );
}

const imports = importsOfSrc();

test('every import in src points down the table of layers', () => {
  expect(imports.size).toBeGreaterThan(100);
  expect(complaints(imports, publicEntryPoints())).toEqual([]);
});

test('the explorer imports public entry points, and of other packages Preact alone', () => {
  const folder = join(ROOT, 'web');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name) && entry.name !== 'vite.config.ts')
    .map((entry) => join(entry.parentPath, entry.name));
  const outside = files.flatMap((file) =>
    specifiersOf(file, readFileSync(file, 'utf8'))
      .filter((specifier) => !/^(tablewalk|preact)(\/|$)/.test(specifier))
      .filter((specifier) => relative(folder, join(dirname(file), specifier)).startsWith('..'))
      .map((specifier) => `${relative(ROOT, file)} imports ${specifier}`),
  );
  expect(files.length).toBeGreaterThan(20);
  expect(outside).toEqual([]);
});

test('the imports in src form no cycle', () => {
  expect(cycles(imports)).toEqual([]);
});

test('the linter knows the same table', () => {
  const config = JSON.parse(readFileSync(join(ROOT, 'biome.json'), 'utf8')) as {
    overrides: { includes: string[]; linter: { rules: { style?: { noRestrictedImports?: unknown } } } }[];
  };
  const byLinter = config.overrides
    .filter((override) => override.linter.rules.style?.noRestrictedImports !== undefined)
    .map((override) => [override.includes, override.linter.rules.style?.noRestrictedImports]);
  expect(byLinter).toEqual(linterRules());
});

/** The overrides that `biome.json` must hold: per layer, the folders it may not import. */
function linterRules(): unknown[] {
  return Object.entries(LAYERS).map(([layer, allowed]) => {
    const inner = Object.keys(LAYERS).filter((other) => other.startsWith(`${layer}/`));
    const forbidden = [...Object.keys(LAYERS), 'cli'].filter(
      (other) => other !== layer && !allowed.includes(other),
    );
    return [
      [`src/${layer}/**`, ...inner.map((other) => `!src/${other}/**`)],
      {
        level: 'error',
        options: {
          patterns: [
            {
              group: forbidden.map((other) =>
                inner.includes(other) ? `./${other.slice(layer.length + 1)}/**` : `../**/${other}/**`,
              ),
              message: `${layer} may import ${[layer, ...allowed].join(', ')}.`,
            },
          ],
        },
      },
    ];
  });
}

test.each([
  [
    'format/x86/table.ts',
    `import { walk } from '../../walk/index.ts';`,
    'format may import format, bits, not walk',
  ],
  ['bits/a.ts', `export * from '../index.ts';`, 'bits may import bits, not index.ts'],
  ['walk/a.ts', `type M = import('../machine/index.ts').Machine;`, 'walk may import'],
  ['walk/a.ts', `import type { Stats } from 'node:fs';`, 'only source/node and cli may import node:*'],
  ['source/elf.ts', `const m = await import('./node/index.ts');`, 'source may import'],
  ['source/elf.ts', `import { unzip } from 'fflate';`, 'no runtime dependency'],
  ['walk/a.ts', 'const m = await import(name);', 'no runtime dependency'],
  ['cli/maps.ts', `import { pageOf } from '../bits/address.ts';`, 'cli imports public entry points only'],
  ['index.ts', `export * from './cli/main.ts';`, 'index.ts runs in browsers'],
  ['new-layer/a.ts', `import { pageOf } from '../bits/index.ts';`, 'not in the table of layers'],
])('a forbidden import is caught: %s %s', (file, text, expected) => {
  const found = complaints(new Map([[file, specifiersOf(file, text)]]), new Set(['bits/index.ts']));
  expect(found).toEqual([expect.stringContaining(expected)]);
});

test.each([
  ['walk/a.ts', `import { FRAME_BYTES } from '../bits/address.ts'; import { b } from './b.ts';`],
  ['source/node/file.ts', `import { open } from 'node:fs/promises'; import { detect } from '../detect.ts';`],
  ['cli/main.ts', `import { Command } from 'commander'; import { pageOf } from '../bits/index.ts';`],
])('an allowed import is not: %s %s', (file, text) => {
  expect(complaints(new Map([[file, specifiersOf(file, text)]]), new Set(['bits/index.ts']))).toEqual([]);
});

test('a cycle through three files is caught', () => {
  const imports = new Map([
    ['walk/a.ts', ['./b.ts']],
    ['walk/b.ts', ['../memory/c.ts']],
    ['memory/c.ts', ['../walk/a.ts']],
  ]);
  expect(cycles(imports)).toEqual(['walk/a.ts -> walk/b.ts -> memory/c.ts -> walk/a.ts']);
});
