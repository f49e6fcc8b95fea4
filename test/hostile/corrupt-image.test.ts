/**
 * A real image with damage in it: whatever it is opened as, every operation gives a typed error or a complete answer, soon.
 *
 * The damage follows from the seed: bits flipped, bytes and words overwritten, in the ELF header, the notes, the program
 * headers and the pages that hold page tables.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { capturePath, captureTables } from '../../src/capture/index.ts';
import { type Paging, resolveX86Control, x86Paging } from '../../src/format/index.ts';
import { explain, listRegions, takeCensus } from '../../src/inspect/index.ts';
import type { Machine } from '../../src/machine/index.ts';
import { SparseMemory } from '../../src/memory/index.ts';
import { memoryBytes, openImage } from '../../src/source/index.ts';
import { Walker } from '../../src/walk/index.ts';
import { LONG } from '../support/long.ts';
import { bytesInUse, collectGarbage } from '../support/measure.ts';
import { createRandom, type Random } from '../support/random-tables.ts';
import { samplePath } from '../support/sample.ts';

const PATH = samplePath('core.elf.gz');
const ORIGINAL = new Uint8Array(gunzipSync(readFileSync(PATH)));

const CASES = LONG ? 10_000 : 3_000;
/** Every how many of them are inspected in full: all tables captured, counted and listed. */
const FULL_EVERY = LONG ? 16 : 32;
const SEED = 20_260;

/** Parts of the file, from `readelf -hlW`: 67 program headers of 56 bytes from 64, notes behind them, pages from 0x2000. */
const PARTS = [
  { name: 'ELF header', start: 0, end: 64 },
  { name: 'program headers', start: 64, end: 64 + 67 * 56 },
  { name: 'notes', start: 64 + 67 * 56, end: 64 + 67 * 56 + 1632 },
  { name: 'pages', start: 0x2000, end: ORIGINAL.length },
] as const;

/** Bytes that mean something in flags, lengths and kinds. */
const VALUES = [0, 1, 0x7f, 0x80, 0xff];

/** Damages the bytes in one to four places; returns what to put back. */
function damage(bytes: Uint8Array, random: Random): { part: string; undo: () => void } {
  const part = random.pick(PARTS);
  const saved: [number, number][] = [];
  const write = (at: number, value: number) => {
    saved.push([at, bytes[at]]);
    bytes[at] = value;
  };
  for (let i = 1 + random.below(4); i > 0; i -= 1) {
    const at = part.start + random.below(part.end - part.start);
    const kind = random.below(4);
    if (kind === 0) write(at, bytes[at] ^ (1 << random.below(8)));
    else if (kind === 1) write(at, random.pick(VALUES));
    else {
      // A whole word, as an entry or a header field is: noise, or the word from elsewhere in the part.
      const word = at & ~7;
      const from = (part.start + random.below(part.end - part.start)) & ~7;
      for (let k = 0; k < 8 && word + k < part.end; k += 1) {
        write(word + k, kind === 2 ? random.below(256) : ORIGINAL[from + k]);
      }
    }
  }
  return {
    part: part.name,
    undo: () => {
      for (const [at, value] of saved.reverse()) bytes[at] = value;
    },
  };
}

/** The paging of CPU 0, or of no CPU if the notes say nothing of one. */
function pagingOf(machine: Machine): Paging {
  const { CR0, CR3, CR4 } = machine.cpus[0]?.registers ?? {};
  const known = {
    ...(CR0 === undefined ? {} : { cr0: CR0 }),
    ...(CR3 === undefined ? {} : { cr3: CR3 }),
    ...(CR4 === undefined ? {} : { cr4: CR4 }),
  };
  return x86Paging(resolveX86Control(known, machine.longMode).control);
}

/** Addresses in user space, the kernel, its direct map, the hole, and at the ends. */
const ADDRESSES = [
  0x40_2000n,
  0x7ffe_d392_9560n,
  0xffff_ffff_8100_0000n,
  0xffff_8880_0000_0000n,
  1n << 60n,
  0n,
];

async function inspect(machine: Machine, full: boolean, random: Random): Promise<void> {
  const paging = pagingOf(machine);
  if (!full) {
    const memory = new SparseMemory();
    const address = random.pick(ADDRESSES);
    await capturePath(machine, paging, Number(address >> 12n), memory); // at most 52 bits
    new Walker(memory.memory, paging).translate(Number(address >> 12n));
    return;
  }
  const { memory } = await captureTables(machine, paging);
  const census = takeCensus(memory, paging);
  const rows = listRegions(memory, paging);
  expect(rows.every(({ first, end }) => first < end)).toBe(true);
  expect(census.tables).toBeLessThanOrEqual(197);
  for (const address of ADDRESSES) {
    const { end, accesses } = explain(memory, paging, address);
    expect([end, accesses.length]).toEqual([end, 6]);
  }
}

test(`${CASES} damaged images: typed errors or complete answers, none slow, none large`, async () => {
  const random = createRandom(SEED);
  const bytes = ORIGINAL.slice();
  const outcomes = new Map<string, number>();
  const untyped: string[] = [];
  let worst = { milliseconds: 0, case: -1 };
  let highest = 0;
  let inspected = 0;
  collectGarbage();
  const before = bytesInUse();
  const started = performance.now();

  for (let i = 0; i < CASES; i += 1) {
    const { part, undo } = damage(bytes, random);
    const full = i % FULL_EVERY === 0;
    const begun = performance.now();
    let outcome = 'complete';
    try {
      const machine = await openImage(memoryBytes(bytes));
      if (full) inspected += 1;
      await inspect(machine, full, random);
    } catch (error) {
      outcome = error instanceof PageTableError ? error.code : 'untyped';
      if (outcome === 'untyped')
        untyped.push(`case ${i}, ${part}: ${error instanceof Error ? error.stack : error}`);
    }
    const milliseconds = performance.now() - begun;
    if (milliseconds > worst.milliseconds) worst = { milliseconds, case: i };
    outcomes.set(`${part}: ${outcome}`, (outcomes.get(`${part}: ${outcome}`) ?? 0) + 1);
    undo();
    if (i % 50 === 0) highest = Math.max(highest, bytesInUse() - before);
  }

  const seconds = (performance.now() - started) / 1000;
  console.log(
    `damaged images: ${CASES} cases from seed ${SEED} in ${seconds.toFixed(1)} s, ${inspected} of them opened and ` +
      `inspected in full; worst ${worst.milliseconds.toFixed(0)} ms (case ${worst.case}), heap at most ` +
      `${(highest / 2 ** 20).toFixed(0)} MB above the start; ` +
      [...outcomes]
        .sort()
        .map(([outcome, count]) => `${outcome} ${count}`)
        .join(', '),
  );
  expect(untyped.slice(0, 3)).toEqual([]);
  expect(bytes).toEqual(ORIGINAL);
  expect(worst.milliseconds).toBeLessThan(10_000);
  expect(highest).toBeLessThan(200 * 2 ** 20);
  // Both sides of the rule came up, or the damage was of the wrong kind.
  expect(inspected).toBeGreaterThan(CASES / FULL_EVERY / 2);
  for (const name of [
    'ELF header: UNSUPPORTED_IMAGE',
    'program headers: MALFORMED_IMAGE',
    'pages: complete',
    'notes: complete',
  ]) {
    expect([name, (outcomes.get(name) ?? 0) > 20]).toEqual([name, true]);
  }
});
