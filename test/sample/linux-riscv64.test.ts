import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captureTables } from '../../src/capture/index.ts';
import {
  knownRiscvControl,
  type Paging,
  type RiscvControl,
  resolveRiscvControl,
  riscvPaging,
} from '../../src/format/index.ts';
import {
  decodeLinuxRiscv,
  explain,
  listRegions,
  printQemuRiscvMem,
  takeCensus,
} from '../../src/inspect/index.ts';
import type { Machine } from '../../src/machine/index.ts';
import { type PhysicalMemory, SparseMemory } from '../../src/memory/index.ts';
import { parseRegisters, withRegisters } from '../../src/source/index.ts';
import { openFile } from '../../src/source/node/index.ts';
import { Cursor, DONE, PAGE, Walker } from '../../src/walk/index.ts';
import { deviceMemory, mappedRanges, pagemap, RISCV64, sampleLines, samplePath } from '../support/sample.ts';

/** What the capture counted at the root of each hart. */
const CENSUS = [
  { tables: 225, small: 2014, large: 277 },
  { tables: 225, small: 2018, large: 277 },
];

/** QEMU's answers: at the privilege at which it stopped, which is S, and at both. */
interface Answers {
  readonly cpu: number;
  readonly mode: 'as stopped' | 'priv=U' | 'priv=S';
  readonly answers: readonly (readonly [va: string, pa: string | null])[];
}

let machine: Machine;
const views: { control: RiscvControl; memory: PhysicalMemory; paging: Paging }[] = [];

beforeAll(async () => {
  const registers = parseRegisters(readFileSync(samplePath('registers.json', RISCV64), 'utf8'));
  machine = withRegisters(await openFile(samplePath('core.elf.gz', RISCV64)), registers);
  for (const cpu of machine.cpus) {
    const { control, assumed } = resolveRiscvControl(knownRiscvControl(cpu.registers));
    expect(assumed.map(({ name }) => name)).toEqual(['svnapot', 'svpbmt', 'adue']);
    const paging = riscvPaging(control);
    const into = new SparseMemory();
    await captureTables(machine, paging, { into });
    views.push({ control, memory: into.memory, paging });
  }
});
afterAll(() => machine.close());

describe.each([0, 1])('the RISC-V Linux sample, hart %i', (cpu) => {
  it('has as many tables and pages as the capture counted', () => {
    const { memory, paging } = views[cpu];
    const { tables, small, large } = CENSUS[cpu];
    const census = takeCensus(memory, paging);
    expect(census).toMatchObject({ tables, missing: 0, faulty: 0, recursive: [] });
    expect([...census.pages]).toEqual([
      [12, small],
      [21, large],
    ]);
  });

  it('gives QEMU’s info mem line by line', () => {
    const { memory, paging } = views[cpu];
    const lines: string[] = [];
    expect(printQemuRiscvMem(memory, paging, (line) => lines.push(line))).toBe(0);
    expect(lines).toEqual(sampleLines(`info-mem-cpu${cpu}.txt.gz`, RISCV64));
    expect(lines).toHaveLength([184, 181][cpu]);
  });

  it('lists regions that say of every row of info mem where it leads and who may do what', () => {
    const { memory, paging } = views[cpu];
    const regions = listRegions(memory, paging, { all: true });
    const rows = sampleLines(`info-mem-cpu${cpu}.txt.gz`, RISCV64).slice(2);
    const wrong = rows.filter((text) => {
      const [va, pa, size, attributes] = text.split(' ');
      const first = Number(BigInt(`0x${va}`) >> 12n);
      const pages = Number.parseInt(size, 16) / 4096;
      const [r, w, x, u, g, a, d] = [...attributes].map((letter) => letter !== '-');
      // SUM = 0 and MXR = 0 in mstatus: each page is of one privilege alone.
      const rights = ((r ? 1 : 0) | (w ? 2 : 0) | (x ? 4 : 0)) << (u ? 0 : 3);
      const row = regions.find((one) => one.first <= first && first + pages <= one.end);
      if (row?.kind !== 'mapped' || row.frame === undefined) return true;
      return (
        row.frame + (first - row.first) !== Number.parseInt(pa, 16) / 4096 ||
        row.rights !== rights ||
        row.global !== g ||
        row.memoryType?.name !== 'PMA' ||
        (a ? row.accessed === 0 : row.accessed === row.leaves) ||
        (d ? row.dirty === 0 : row.dirty === row.leaves)
      );
    });
    expect(wrong).toEqual([]);
    const pagesOf = (list: readonly number[]) => list.reduce((sum, one) => sum + one, 0);
    const listed = pagesOf(rows.map((text) => Number.parseInt(text.split(' ')[2], 16) / 4096));
    expect(pagesOf(regions.map(({ first, end }) => end - first))).toBe(listed);
  });

  it('gives every answer of QEMU’s gva2gpa at every privilege', () => {
    const { control, memory } = views[cpu];
    // For a debugger QEMU takes SUM as 1 (target/riscv/cpu_helper.c, `is_debug`); MXR counts as it is.
    const paging = riscvPaging({ ...control, sum: true });
    const all: Answers[] = JSON.parse(
      gunzipSync(readFileSync(samplePath('gva2gpa.json.gz', RISCV64))).toString('utf8'),
    );
    const own = all.filter((one) => one.cpu === cpu);
    expect(own.map(({ answers }) => answers.length)).toEqual(Array(3).fill([1905, 735][cpu]));
    for (const { mode, answers } of own) {
      const user = mode === 'priv=U';
      const wrong = answers.filter(([va, expected]) => {
        const it = explain(memory, paging, BigInt(va));
        const read = it.accesses.find(({ access }) => access.user === user && access.kind === 'read');
        const allowed = read?.result.kind === 'allowed';
        // The rights of the page say the same as the access.
        if (it.rights !== undefined && ((it.rights & (user ? 1 : 8)) !== 0) !== allowed) return true;
        const found = allowed && it.physical !== undefined ? `0x${it.physical.toString(16)}` : null;
        return found !== expected;
      });
      expect(wrong).toEqual([]);
    }
  });

  it('maps each page of the process to the frame that its pagemap gives', () => {
    const lines = sampleLines('console.txt.gz', RISCV64);
    const { memory, paging } = views[cpu];
    const found = new Map<number, number>();
    const cursor = new Cursor(memory, paging, { first: 0, end: 2 ** 26 });
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      if (event !== PAGE) continue;
      for (let i = 0; i < 2 ** cursor.order; i += 1) found.set(cursor.page + i, cursor.frame + i);
    }
    // Pages without any access are kept in invalid entries.
    const walker = new Walker(memory, paging);
    let hidden = 0;
    for (const page of [...found.keys()].flatMap((near) => [near - 1, near + 1, near + 2])) {
      const { end, steps } = walker.path(page);
      const last = steps[steps.length - 1];
      if (end !== 'not-present' || last.depth !== 2) continue;
      const entry = decodeLinuxRiscv(paging.format.fact, last.depth, last.low, last.high);
      if (entry?.kind !== 'prot-none') continue;
      found.set(page, entry.frame);
      hidden += 1;
    }
    expect(hidden).toBeGreaterThan(0);
    const expected = new Map([...pagemap(lines, cpu), ...deviceMemory(lines, cpu)]);
    expect(expected.size).toBeGreaterThan(500);
    expect([...expected].filter(([page, frame]) => found.get(page) !== frame)).toEqual([]);
    // What the process touched after its pagemap was printed, if anything, is in the ranges of its maps.
    const later = [...found.keys()].filter((page) => !expected.has(page));
    console.log(`RISC-V sample, hart ${cpu}: ${later.length} pages touched after the pagemap was printed`);
    const ranges = mappedRanges(lines, cpu);
    for (const page of later) expect(ranges.some(([a, b]) => page >= a && page < b)).toBe(true);
  });
});
