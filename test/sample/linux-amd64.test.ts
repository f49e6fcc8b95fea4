import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addressOf, hexPage, offsetOf, pageOf } from '../../src/bits/index.ts';
import { captureTables } from '../../src/capture/index.ts';
import { knownX86Control, type Paging, resolveX86Control, x86Paging } from '../../src/format/index.ts';
import { decodeLinuxX86, printQemuMem, printQemuTlb, takeCensus } from '../../src/inspect/index.ts';
import type { Machine } from '../../src/machine/index.ts';
import type { PhysicalMemory } from '../../src/memory/index.ts';
import { openFile } from '../../src/source/node/index.ts';
import { Cursor, DONE, PAGE, Walker } from '../../src/walk/index.ts';
import { deviceMemory, pagemap, sampleLines, samplePath } from '../support/sample.ts';

/** What the samples' registers.json counts for the root of each CPU. */
const CENSUS = [
  { tables: 126, small: 74_193, large: 144 },
  { tables: 126, small: 74_197, large: 144 },
];

/** Half of a 48-bit space, in pages. */
const USER_END = 2 ** 35;

let machine: Machine;
const views: { memory: PhysicalMemory; paging: Paging }[] = [];

beforeAll(async () => {
  machine = await openFile(samplePath('core.elf.gz'));
  for (const { registers } of machine.cpus) {
    const { control } = resolveX86Control(knownX86Control(registers), machine.longMode);
    const paging = x86Paging(control);
    views.push({ memory: (await captureTables(machine, paging)).memory, paging });
  }
});
afterAll(() => machine.close());

describe.each([0, 1])('the Linux sample, CPU %i', (cpu) => {
  it('has as many tables and pages as the capture counted', () => {
    const { memory, paging } = views[cpu];
    const census = takeCensus(memory, paging);
    expect(census.tables).toBe(CENSUS[cpu].tables);
    expect([...census.pages]).toEqual([
      [12, CENSUS[cpu].small],
      [21, CENSUS[cpu].large],
    ]);
    expect(census).toMatchObject({ missing: 0, faulty: 0, recursive: [] });
  });

  it.each([
    ['info tlb', printQemuTlb, `info-tlb-cpu${cpu}.txt.gz`, [74_337, 74_341][cpu]],
    ['info mem', printQemuMem, `info-mem-cpu${cpu}.txt.gz`, [65_681, 65_684][cpu]],
  ] as const)('gives every line of QEMU’s %s', (_, print, file, count) => {
    const lines: string[] = [];
    print(views[cpu].memory, views[cpu].paging, (line) => lines.push(line));
    const expected = sampleLines(file);
    expect(expected).toHaveLength(count);
    // Compared as one text: thousands of differing lines would drown the report.
    expect(lines.findIndex((line, i) => line !== expected[i])).toBe(-1);
    expect(lines).toHaveLength(count);
  });

  it('gives every answer of QEMU’s gva2gpa', () => {
    const walker = new Walker(views[cpu].memory, views[cpu].paging);
    const answers = gva2gpa(cpu);
    expect(answers).toHaveLength([2013, 843][cpu]);
    for (const [va, expected] of answers) {
      const frame = walker.translate(pageOf(va));
      const pa = frame < 0 ? undefined : addressOf(frame, offsetOf(va));
      expect([va, pa]).toEqual([va, expected]);
    }
  });

  it('maps each page of the process to the frame that its pagemap gives', () => {
    const lines = sampleLines('console.txt.gz');
    const expected = new Map([
      ...pagemap(lines, cpu),
      ...deviceMemory(lines, cpu),
      ...touchedLater(lines, cpu),
    ]);
    const found = userFrames(views[cpu].memory, views[cpu].paging);
    expect(found.size).toBeGreaterThan(500);
    expect([...found].sort(byPage)).toEqual([...expected].sort(byPage));
  });
});

function byPage(a: [number, number], b: [number, number]): number {
  return a[0] - b[0];
}

function gva2gpa(cpu: number): [bigint, bigint | undefined][] {
  const all: { cpu: number; answers: [string, string | null][] }[] = JSON.parse(
    gunzipSync(readFileSync(samplePath('gva2gpa.json.gz'))).toString('utf8'),
  );
  return all
    .filter((one) => one.cpu === cpu)
    .flatMap(({ answers }) => answers)
    .map(([va, pa]) => [BigInt(va), pa === null ? undefined : BigInt(pa)]);
}

/**
 * Process 1 touched one page of the memory that it shares with process 0 after its pagemap was printed: its last page
 * fault, in CR2. Both map the same /dev/zero inode there, so the frame is the one that pagemap gives for process 0.
 */
function touchedLater(lines: readonly string[], process: number): [number, number][] {
  if (process === 0) return [];
  const page = pageOf(machine.cpus[1].registers['CR2']);
  const shared = lines.filter((line) => line.startsWith(`${hexPage(page).slice(4)}-`));
  expect(shared.map((line) => line.split(' ').slice(1).join(' '))).toEqual(
    Array(2).fill('rw-s 00000000 00:01 1024                       /dev/zero (deleted)'),
  );
  return pagemap(lines, 0).filter(([of]) => of === page);
}

/** Every page that the lower half's tables hold: mapped, or PROT_NONE as Linux keeps it. */
function userFrames(memory: PhysicalMemory, paging: Paging): Map<number, number> {
  const frames = new Map<number, number>();
  const cursor = new Cursor(memory, paging, { first: 0, end: USER_END });
  for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
    if (event !== PAGE) continue;
    for (let i = 0; i < 2 ** cursor.order; i += 1) frames.set(cursor.page + i, cursor.frame + i);
  }
  const walker = new Walker(memory, paging);
  for (const page of [...frames.keys()].flatMap((near) => [near - 1, near + 1])) {
    const { end, steps } = walker.path(page);
    const last = steps[steps.length - 1];
    if (end !== 'not-present' || last.depth !== 3) continue;
    const entry = decodeLinuxX86(paging.format.fact, last.depth, last.low, last.high);
    if (entry?.kind === 'prot-none') frames.set(page, entry.frame);
  }
  return frames;
}
