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
    { module: ts.ModuleKind.NodeNext, target: ts.ScriptTarget.ES2023, types: ['node'] },
  );
  const checker = program.getTypeChecker();
  const sections = entries.map((entry) => {
    const source = program.getSourceFile(entry.file);
    const symbol = source && checker.getSymbolAtLocation(source);
    if (symbol === undefined) {
      throw new Error(`${entry.file} is not a module: run \`npm run build\` first`);
    }
    const lines = checker
      .getExportsOfModule(symbol)
      .map((each) => `${each.name}: ${declarationOf(checker, each)}`);
    return `\n## ${entry.name}\n\n${lines.sort().join('\n')}\n`;
  });
  return HEADER + sections.join('');
}

/** The declarations of a name on one line, without comments. */
function declarationOf(checker, symbol) {
  const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
  const printer = ts.createPrinter({ removeComments: true });
  return (target.declarations ?? [])
    .map((node) => {
      const text = printer.printNode(ts.EmitHint.Unspecified, node, node.getSourceFile());
      const kind = ts.isVariableDeclaration(node) ? 'const ' : '';
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
