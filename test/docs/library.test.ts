import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Runs a program of docs/library.md, and expects what it prints: whether each line with a value as its comment has that value, and what
 * `after` prints.
 */
function expectPrinted(contains: string, before: string, after: string, printed: string): void {
  const text = readFileSync(`${ROOT}docs/library.md`, 'utf8');
  const programs = [...text.matchAll(/```js\n(import [\s\S]*?)```/g)].map(([, program]) => program);
  const program = programs.find((each) => each.includes(contains)) ?? '';
  const checked = program.replace(/^(\w+[.(].*); \/\/ (0x[0-9a-f]+n|true)$/gm, 'console.log($1 === $2);');
  const imports = checked.match(/^import .*$/gm)?.join('\n') ?? '';
  // Beside the examples, so that the package is found by its name.
  const file = `${ROOT}examples/.library.${process.pid}.mjs`;
  try {
    writeFileSync(file, `${imports}\n${before}${checked.replace(/^import .*$/gm, '')}${after}`);
    const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({ stdout: printed, stderr: '' });
  } finally {
    rmSync(file, { force: true });
  }
}

test('the program of docs/library.md that edits tables runs, and gives what its comments say', () => {
  expectPrinted(
    'FreeListFrameAllocator',
    'const heap = new ArrayBuffer(32 << 20);\nconst told = [];\nconst tlb = { invalidate: (page) => told.push(page) };\n',
    'console.log(String(told), frames.allocated, String(frame), flush.page() === page);\n',
    'true\nPage[2MiB](0xffff800000000000) 0 PhysFrame[2MiB](0x200000) true\n',
  );
});

test('the program of docs/library.md that walks both halves of AArch64', () => {
  // Roots in frames 1 and 2: the lower one is empty, the upper one leads to a page at 0x201000.
  const before =
    "const { flatMemory } = await import('tablewalk/memory');\nconst memory = flatMemory(new ArrayBuffer(1 << 20));\n" +
    'memory.writeEntry(2, 256, 0x3003, 0);\nmemory.writeEntry(3, 0, 0x4003, 0);\nmemory.writeEntry(4, 0, 0x5003, 0);\n' +
    'memory.writeEntry(5, 1, 0x201703, 0);\n' +
    'const [ttbr0, ttbr1, mair, sctlr] = [0x1000n, 0x2000n, 0xffn, 1n];\n' +
    'const tcr = 16n | (16n << 16n) | (2n << 30n) | (5n << 32n);\n';
  const after =
    'console.log(assumed.map(({ short }) => short).join(), walkerOf(0x1234n).translateAddress(0x1234n));\n';
  expectPrinted('aarch64Pagings', before, after, 'true\nPSTATE.PAN = 0 undefined\n');
});

test('the program of docs/library.md that walks tables of RISC-V', () => {
  // The root in frame 0x80003, a page at 0x80005000.
  const before =
    "const { flatMemory } = await import('tablewalk/memory');\n" +
    'const regions = [{ address: 0x80000000n, offset: 0, length: 1 << 20 }];\n' +
    'const memory = flatMemory(new ArrayBuffer(1 << 20), regions);\n' +
    'memory.writeEntry(0x80003, 0, 0x20000801, 0);\nmemory.writeEntry(0x80002, 1, 0x20000401, 0);\n' +
    'memory.writeEntry(0x80001, 1, 0x200014cf, 0);\n';
  expectPrinted('riscvPaging', before, 'console.log(walker.translate(0));\n', 'true\n-1\n');
});

test('the programs of docs/library.md that choose page tables as the command does', () => {
  // A user page at 0x1000, which leads to 0x5000.
  const before =
    "const { memoryBytes, openImage } = await import('tablewalk/source');\nconst bytes = new Uint8Array(0x6000);\n" +
    'const words = new BigUint64Array(bytes.buffer);\n' +
    'for (const [i, entry] of [[0x200, 0x2007n], [0x400, 0x3007n], [0x600, 0x4007n], [0x801, 0x5007n]]) words[i] = entry;\n' +
    "const machine = await openImage(memoryBytes(bytes), { format: 'raw' });\n";
  const text = readFileSync(`${ROOT}docs/library.md`, 'utf8');
  const flip = text.match(/```js\n(const smep = [\s\S]*?)```/)?.[1] ?? '';
  const after =
    `${flip}\nconsole.log(sessionText(session));\nfor (const one of [session, other]) {\n` +
    "  console.log(regionCells(listRows(one, memory, {}).rows[0].region, one.spaces[0].paging).slice(0, 6).join(' '));\n}\n" +
    'console.log(table.length, table[0][0], flipFlag(session, options, smep).cr4);\n';
  // SMEP = 1: no supervisor fetch from a user page.
  const row = '0000000000001000-0000000000002000 0000000000005000 4 KiB 4K rwx';
  expectPrinted(
    'choosePaging',
    before,
    after,
    `x86-64 4-level paging, root 0x0000000000001000 from --root\n${row} rw-\n${row} rwx\n2 LINEAR 0xa0\n`,
  );
});

test('the program of docs/library.md that makes maps of AArch64', () => {
  expectPrinted(
    'TargetAllocator',
    '',
    'console.log(tables.asBytes().length);\n',
    [
      'true',
      '0xffffff8000000000..0xffffff8000200000 80000401 2',
      '0xffffff8000200000..0xffffff8000201000 80200483 3',
      '0xffffff8000201000..0xffffff8000202000 80201403 3',
      '0xffffff8000202000..0xffffff8000203000 80202403 3',
      '12288',
      '',
    ].join('\n'),
  );
});

test('the program of docs/library.md that edits tables as mycelium does', () => {
  // A PML4 in frame 1, whose entry 256 leads to a window of all memory.
  const memory =
    "const { flatMemory } = await import('tablewalk/memory');\nconst memory = flatMemory(new ArrayBuffer(1 << 20));\n" +
    'memory.writeEntry(1, 256, 0x2003, 0);\nmemory.writeEntry(2, 0, 0x83, 0);\n';
  // Tables for 0x400000, for 0x8000 and 0x9000, and none for the large page but the PDPT and a PD.
  const after =
    'console.log(frames.allocated, cpu.read(0x40008000n, 1).kind, cpu.read(0x400000n, 1).kind);\n';
  expectPrinted('hal-core', memory, after, 'true\ntrue\n5 done fault\n');
});

test('the program of docs/library.md that builds tables in a buffer runs, and leaves what its comments say', () => {
  const text = readFileSync(`${ROOT}docs/library.md`, 'utf8');
  const program = text.match(/```js\n(import \{ amd64, CopyOnWriteTableOps[\s\S]*?)```/)?.[1] ?? '';
  const after = `
console.log(code.virtBase, code.physBase, code.len, code.kind.kind);
console.log(spaces[1].items.length, spaces[1].items[0].kind, spaces[1].items[0].reference);
const pages = (ops) => Array.from(virtToPhys(amd64, ops, 0n, 1n << 39n), ({ physBase }) => physBase);
console.log(pages(buffer), pages(guest), buffer.size);
`;
  const file = `${ROOT}examples/.library.${process.pid}.mjs`;
  try {
    writeFileSync(file, program + after);
    const { stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
    expect({ stdout, stderr }).toEqual({
      stdout: [
        '4194304n 8388608n 12288n Cow',
        '1 AnotherSpace { depth: 1, space: 1048576n, ourVa: 549755813888n, theirVa: 0n }',
        // Four tables were copied.
        '[ 8388608n, 8392704n, 8396800n ] [ 9437184n, 8392704n, 8396800n ] 9',
        '',
      ].join('\n'),
      stderr: '',
    });
  } finally {
    rmSync(file, { force: true });
  }
});
