// The programs of docs/choosing.md do the same job: each leaves tables that lead to the same frames with the same rights.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const text = readFileSync(`${ROOT}docs/choosing.md`, 'utf8');
const programs = text
  .split(/^### /m)
  .slice(1)
  .flatMap((section) => {
    const name = section.split('\n')[0].replaceAll('`', '');
    return Array.from(section.matchAll(/```js\n([\s\S]*?)```/g), ([, program], i): [string, string] => [
      i === 0 ? name : `${name}, operations of one's own`,
      program,
    ]);
  });

/** What a program finds there: tables in `memory`, or in `elsewhere` under other frame numbers, or `words`; the root is in frame 1. */
const BEFORE = `
const ram = new ArrayBuffer(4 << 20);
const memory = flatMemory(ram);
const elsewhere = flatMemory(new ArrayBuffer(4 << 20));
const words = new BigUint64Array(ram);
{
`;

/** The registers that select the tables: of x86-64, and of AArch64 where the program makes tables of it. */
const X86 = `
const seen = new X86Cpu(memory, { cr0: 0x80010001n, cr3: 0x1000n, cr4: 0x20n, efer: 0xd00n });
const walker = new Walker(memory, x86Paging(resolveX86Control({ cr0: 0x80010001n, cr3: 0x1000n, cr4: 0x20n, efer: 0xd00n }, true).control));
`;
const AARCH64 = `
const registers = { ttbr1: 0x1000n, tcr: 16n | (16n << 16n) | (2n << 30n) | (5n << 32n), mair: 0xffn, sctlr: 1n };
const seen = new Aarch64Cpu(memory, registers);
const walker = new Walker(memory, aarch64Paging(resolveAarch64Control(registers).control, 'upper'));
`;

/** What it must leave there, as a walker and a processor see it, which know of no interface that edits. */
const after = (look: string) => `
}
for (let frame = 0x40; frame < 0x80; frame += 1) {
  if (!elsewhere.isClear(frame)) memory.words.set(elsewhere.words.subarray(frame * 1024, frame * 1024 + 1024), (frame ^ 0x40) * 1024);
}
${look}for (let page = 0xffff800000000; page < 0xffff800000000 + 5; page += 1) {
  const kinds = [READ, WRITE, FETCH].map((kind) => seen.translate(0xffff8000, page << 12, kind));
  console.log(walker.translate(page), ...kinds.map((frame) => Math.max(frame, -1)));
}
`;

const IMPORTS = `
import { Aarch64Cpu, X86Cpu } from 'tablewalk/cpu';
import { aarch64Paging, FETCH, READ, resolveAarch64Control, resolveX86Control, WRITE, x86Paging } from 'tablewalk/format';
import { flatMemory } from 'tablewalk/memory';
import { Walker } from 'tablewalk/walk';
`;

test("there are as many programs as interfaces, and one for operations of one's own", () => {
  expect(programs.map(([name]) => name)).toEqual([
    'AddressSpace',
    'OffsetPageTable',
    'MappedPageTable',
    'RecursivePageTable',
    'Map',
    'map and virtToPhys',
    "map and virtToPhys, operations of one's own",
    'Mapping',
  ]);
});

test.each(programs)('%s', (_, program) => {
  const imports = (program.match(/^import .*$/gm) ?? []).filter((line) => !/tablewalk\/cpu/.test(line));
  // A line with a value as its comment becomes a line that prints both.
  const checked = program
    .replace(/^import .*$/gm, '')
    .replace(/^(.*); \/\/ (0x[0-9a-f]+n)$/gm, 'console.log($1 === $2);');
  const next = checked.includes('let next') ? '' : 'let next = 0x1000n;\n';
  // Beside the examples, so that the package is found by its name.
  const file = `${ROOT}examples/.choosing.${process.pid}.mjs`;
  try {
    writeFileSync(
      file,
      `${IMPORTS}${imports.join('\n')}${BEFORE}${next}${checked}${after(program.includes('aarch64-paging') ? AARCH64 : X86)}`,
    );
    const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
    const data = (frame: number) => `${frame} ${frame} ${frame} -1`;
    expect({ stdout: stdout.split('\n'), stderr }).toEqual({
      stdout: ['true', data(0x200), data(0x201), '-1 -1 -1 -1', data(0x203), '-1 -1 -1 -1', ''],
      stderr: '',
    });
  } finally {
    rmSync(file, { force: true });
  }
});
