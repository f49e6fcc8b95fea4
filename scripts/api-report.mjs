// Writes docs/api.txt: every exported name of every entry point with its declaration, from the built .d.ts files.
// Usage: node scripts/api-report.mjs [--check]; with --check, only compares, and exits with 1 on a difference.

import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { ROOT } from './checks.mjs';

const REPORT = join(ROOT, 'docs/api.txt');
const HEADER = '# The public names of this package, by entry point. Written by `npm run api`; do not edit.\n';

const report = apiReport();
if (!process.argv.includes('--check')) {
  writeFileSync(REPORT, report);
} else if (!existsSync(REPORT) || readFileSync(REPORT, 'utf8') !== report) {
  const old = new Set(existsSync(REPORT) ? readFileSync(REPORT, 'utf8').split('\n') : []);
  const now = new Set(report.split('\n'));
  for (const line of [...old].filter((each) => !now.has(each))) {
    console.error(`- ${line}`);
  }
  for (const line of [...now].filter((each) => !old.has(each))) {
    console.error(`+ ${line}`);
  }
  console.error('docs/api.txt is out of date: run `npm run api` and review the difference');
  process.exitCode = 1;
}

function apiReport() {
  const { name, exports } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const entries = Object.entries(exports)
    .filter(([, path]) => path.endsWith('.js'))
    .map(([subPath, path]) => ({
      name: join(name, subPath),
      file: join(ROOT, path.replace(/\.js$/, '.d.ts')),
    }));
  const program = ts.createProgram(
    entries.map(({ file }) => file),
    // Declarations are printed as they stand: what they name of JavaScript and Node need not be known.
    { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2023, noLib: true, types: [] },
  );
  const checker = program.getTypeChecker();
  const sections = entries.map((entry) => {
    const source = program.getSourceFile(entry.file);
    const symbol = source && checker.getSymbolAtLocation(source);
    if (symbol === undefined) {
      throw new Error(`${entry.file} is not a module: run \`npm run build\` first`);
    }
    const exported = checker.getExportsOfModule(symbol);
    const targets = exported.map((each) => targetOf(checker, each));
    const lines = [
      ...exported.map((each) => `${each.name}: ${declarationOf(checker, each)}`),
      // Members of these are public through the classes that extend them.
      ...basesOf(checker, targets).map((each) => `(${each.name}): ${declarationOf(checker, each)}`),
    ];
    return `\n## ${entry.name}\n\n${lines.sort().join('\n')}\n`;
  });
  return HEADER + sections.join('');
}

function targetOf(checker, symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** The classes of this package that others extend and that are not exported themselves. */
function basesOf(checker, symbols) {
  const seen = new Set(symbols);
  const found = [];
  const waiting = [...symbols];
  for (let symbol = waiting.pop(); symbol !== undefined; symbol = waiting.pop()) {
    for (const node of (symbol.declarations ?? []).filter(ts.isClassDeclaration)) {
      for (const { types } of node.heritageClauses ?? []) {
        for (const { expression } of types) {
          const named = checker.getSymbolAtLocation(expression);
          const base = named && targetOf(checker, named);
          const own = base?.declarations?.some((each) =>
            each.getSourceFile().fileName.startsWith(join(ROOT, 'dist')),
          );
          if (!own || seen.has(base)) continue;
          seen.add(base);
          found.push(base);
          waiting.push(base);
        }
      }
    }
  }
  return found;
}

/** The same class without what only itself sees. */
function withoutPrivate(node) {
  if (!ts.isClassDeclaration(node)) return node;
  const visible = node.members.filter(
    (member) => (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) === 0,
  );
  const { modifiers, name, typeParameters, heritageClauses } = node;
  return ts.factory.updateClassDeclaration(node, modifiers, name, typeParameters, heritageClauses, visible);
}

/** The declarations of a name on one line, without comments. */
function declarationOf(checker, symbol) {
  const printer = ts.createPrinter({ removeComments: true });
  return (targetOf(checker, symbol).declarations ?? [])
    .map((declaration) => {
      const node = withoutPrivate(declaration);
      const text = printer.printNode(ts.EmitHint.Unspecified, node, declaration.getSourceFile());
      const kind = ts.isVariableDeclaration(declaration) ? 'const ' : '';
      return (
        kind +
        text
          .replace(/^export (declare )?/, '')
          .replace(/\s+/g, ' ')
          .replace(/;$/, '')
      );
    })
    .join(' & ');
}
