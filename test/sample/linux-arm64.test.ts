import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { captureTables } from '../../src/capture/index.ts';
import {
  type Aarch64Control,
  aarch64Pagings,
  halfOf,
  knownAarch64Control,
  type Paging,
  resolveAarch64Control,
} from '../../src/format/index.ts';
import { decodeLinuxAarch64, explain, takeCensus } from '../../src/inspect/index.ts';
import type { Machine } from '../../src/machine/index.ts';
import { type PhysicalMemory, SparseMemory } from '../../src/memory/index.ts';
import { parseRegisters, withRegisters } from '../../src/source/index.ts';
import { openFile } from '../../src/source/node/index.ts';
import { Cursor, DONE, PAGE, Walker } from '../../src/walk/index.ts';
import { ARM64, deviceMemory, mappedRanges, pagemap, sampleLines, samplePath } from '../support/sample.ts';

/** What the capture counted at the roots of each CPU, lower half first. */
const CENSUS = [
  [
    { tables: 24, small: 82, large: 1 },
    { tables: 139, small: 62_459, large: 151 },
  ],
  [
    { tables: 24, small: 86, large: 1 },
    { tables: 139, small: 62_459, large: 151 },
  ],
];

/** QEMU's answers: at the privilege at which it stopped, and at two others. */
interface Answers {
  readonly cpu: number;
  readonly mode: 'as stopped' | 'EL0t, PAN clear' | 'EL1h, PAN clear';
  readonly answers: readonly (readonly [va: string, pa: string | null])[];
}

let machine: Machine;
const views: { control: Aarch64Control; memory: PhysicalMemory; pagings: Paging[] }[] = [];

beforeAll(async () => {
  const registers = parseRegisters(readFileSync(samplePath('registers.json', ARM64), 'utf8'));
  machine = withRegisters(await openFile(samplePath('core.elf.gz', ARM64)), registers);
  for (const cpu of machine.cpus) {
    const { control, assumed } = resolveAarch64Control(knownAarch64Control(cpu.registers));
    expect(assumed).toEqual([]);
    const pagings = aarch64Pagings(control);
    const into = new SparseMemory();
    for (const paging of pagings) await captureTables(machine, paging, { into });
    views.push({ control, memory: into.memory, pagings });
  }
});
afterAll(() => machine.close());

describe.each([0, 1])('the arm64 Linux sample, CPU %i', (cpu) => {
  it('has as many tables and pages as the capture counted', () => {
    const { memory, pagings } = views[cpu];
    pagings.forEach((paging, half) => {
      const census = takeCensus(memory, paging);
      const { tables, small, large } = CENSUS[cpu][half];
      expect(census).toMatchObject({ tables, missing: 0, faulty: 0, recursive: [] });
      expect([...census.pages]).toEqual([
        [12, small],
        [21, large],
      ]);
    });
  });

  it('gives every answer of QEMU’s gva2gpa at every privilege', () => {
    const { control, memory } = views[cpu];
    const all: Answers[] = JSON.parse(
      gunzipSync(readFileSync(samplePath('gva2gpa.json.gz', ARM64))).toString('utf8'),
    );
    const own = all.filter((one) => one.cpu === cpu);
    expect(own.map(({ answers }) => answers.length)).toEqual(
      [
        [1994, 1994, 1994],
        [824, 824, 824],
      ][cpu],
    );
    for (const { mode, answers } of own) {
      const pagings = aarch64Pagings(mode === 'as stopped' ? control : { ...control, pan: false });
      const user = mode === 'EL0t, PAN clear';
      const wrong = answers.filter(([va, expected]) => {
        const address = BigInt(va);
        const it = explain(memory, pagings[halfOf(address) === 'lower' ? 0 : 1], address);
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
    const lines = sampleLines('console.txt.gz', ARM64);
    const { memory, pagings } = views[cpu];
    const found = new Map<number, number>();
    const cursor = new Cursor(memory, pagings[0]);
    for (let event = cursor.next(); event !== DONE; event = cursor.next()) {
      if (event !== PAGE) continue;
      for (let i = 0; i < 2 ** cursor.order; i += 1) found.set(cursor.page + i, cursor.frame + i);
    }
    // Pages without any access are kept in invalid descriptors.
    const walker = new Walker(memory, pagings[0]);
    for (const page of [...found.keys()].flatMap((near) => [near - 1, near + 1, near + 2])) {
      const { end, steps } = walker.path(page);
      const last = steps[steps.length - 1];
      if (end !== 'not-present' || last.depth !== 3) continue;
      const entry = decodeLinuxAarch64(pagings[0].format.fact, last.depth, last.low, last.high);
      if (entry?.kind === 'prot-none') found.set(page, entry.frame);
    }
    const expected = new Map([...pagemap(lines, cpu), ...deviceMemory(lines, cpu)]);
    expect(expected.size).toBeGreaterThan(500);
    const missing = [...expected].filter(([page, frame]) => found.get(page) !== frame);
    expect(missing).toEqual([]);
    // What the process touched after its pagemap was printed, if anything, is in the ranges of its maps.
    const later = [...found.keys()].filter((page) => !expected.has(page));
    console.log(`arm64 sample, CPU ${cpu}: ${later.length} pages touched after the pagemap was printed`);
    for (const page of later)
      expect(mappedRanges(lines, cpu).some(([a, b]) => page >= a && page < b)).toBe(true);
  });
});
