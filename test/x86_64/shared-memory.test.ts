import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { resolveX86Control, x86Paging } from '../../src/format/index.ts';
import { flatMemory, type PhysicalMemory } from '../../src/memory/index.ts';
import { Cursor, NOT_PRESENT, PAGE, Walker } from '../../src/walk/index.ts';
import { OffsetPageTable, PageTable, VirtAddr } from '../../src/x86_64/index.ts';
import { LONG } from '../support/long.ts';

/** How long to try: longer in `npm run test:long`. */
const MILLISECONDS = LONG ? 30_000 : 4_000;
const ROOT = 0x1000n;
// Two pages of one table, and two frames whose numbers differ in both halves of an entry.
const PAGES = [0x7f_0000_005, 0x7f_0000_006];
const FRAMES = [0x12_3456_7, 0x3ab_cdef_01];

/** Reads the two pages in every way there is, until something is wrong or the time is over. */
class Reader {
  private readonly walker: Walker;
  private readonly cursor: Cursor;
  private readonly mapper: OffsetPageTable;

  constructor(memory: PhysicalMemory) {
    const { control } = resolveX86Control({ cr3: ROOT }, true);
    const paging = x86Paging(control);
    this.walker = new Walker(memory, paging);
    this.cursor = new Cursor(memory, paging, { first: PAGES[0], end: PAGES[1] + 1 });
    this.mapper = new OffsetPageTable(PageTable.at(memory, ROOT), VirtAddr.zero());
  }

  /** Frames seen; -1 for none. */
  *frames(): Generator<number> {
    for (const page of PAGES) {
      const frame = this.walker.translate(page);
      yield frame === NOT_PRESENT ? -1 : frame;
      const path = this.walker.path(page);
      const last = path.steps.at(-1);
      if (last !== undefined && (last.low & 1) !== 0) yield frameOf(last.low, last.high);
      yield Number(this.mapper.translateAddr(BigInt(page) << 12n) ?? -0x1000n) / 4096;
    }
    this.cursor.start({ depth: 0, frame: Number(ROOT >> 12n), page: 0 });
    for (let event = this.cursor.next(); event !== 0; event = this.cursor.next()) {
      if (event === PAGE) yield this.cursor.frame;
    }
  }
}

function frameOf(low: number, high: number): number {
  return (high & 0xf_ffff) * 2 ** 20 + (low >>> 12);
}

/** Lets one thread write and this one read, and says how often what was found. */
async function race(halves: boolean, milliseconds: number) {
  const ram = new SharedArrayBuffer(0x5000);
  const words = new DataView(ram);
  words.setBigUint64(0x1000 + 8 * (Math.floor(PAGES[0] / 2 ** 27) % 512), 0x2001n, true);
  words.setBigUint64(0x2000 + 8 * ((PAGES[0] >>> 18) & 511), 0x3001n, true);
  words.setBigUint64(0x3000 + 8 * ((PAGES[0] >>> 9) & 511), 0x4001n, true);
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(new URL('shared-writer.mjs', import.meta.url), {
    workerData: { ram, stop, root: ROOT, pages: PAGES, frames: FRAMES, halves },
  });
  const message = () =>
    new Promise<unknown>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  await message();
  const reader = new Reader(flatMemory(ram));
  const allowed = new Set([-1, ...FRAMES]);
  const seen = new Map<number, number>();
  const end = performance.now() + milliseconds;
  let wrong: number | undefined;
  while (wrong === undefined && performance.now() < end) {
    for (let i = 0; i < 1000; i += 1) {
      for (const frame of reader.frames()) {
        seen.set(frame, (seen.get(frame) ?? 0) + 1);
        if (!allowed.has(frame)) wrong = frame;
      }
    }
  }
  const edits = message();
  Atomics.store(stop, 0, 1);
  return { wrong, seen, edits: await edits };
}

test('a thread that walks never sees half of an entry that another one writes', async () => {
  const { wrong, seen, edits } = await race(false, MILLISECONDS);
  console.log(
    `${edits} edits by one thread; seen by the other: ${[...seen].map(([frame, count]) => `0x${frame.toString(16)} ${count} times`).join(', ')}`,
  );
  expect(wrong).toBeUndefined();
  // Both threads were at work at the same time.
  for (const frame of [-1, ...FRAMES]) expect(seen.get(frame)).toBeGreaterThan(100);
});

test('the same test finds half entries where each is stored in two parts', async () => {
  const { wrong } = await race(true, MILLISECONDS);
  expect(wrong).toBeDefined();
  // One half of one entry with a half of the other, or of none.
  const halves = new Set(
    FRAMES.flatMap((one) => [...FRAMES, 0].map((other) => frameOf(one << 12, Math.floor(other / 2 ** 20)))),
  );
  for (const frame of FRAMES) halves.add(frameOf(0, Math.floor(frame / 2 ** 20)));
  expect(halves).toContain(wrong);
});
