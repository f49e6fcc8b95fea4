// The same mappings in stores of different kinds: the same translations, and an x86 processor that agrees with them.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addressOf, highHalf, lowHalf } from '../../src/bits/index.ts';
import { X86Cpu } from '../../src/cpu/index.ts';
import { FETCH, READ, WRITE, x86Paging } from '../../src/format/index.ts';
import {
  aarch64,
  amd64,
  mergedMappings,
  type TableOps,
  virtToPhys,
} from '../../src/hyperlight-vmem/index.ts';
import { explain, listRegions } from '../../src/inspect/index.ts';
import { memoryOfTables, type PhysicalMemory } from '../../src/memory/index.ts';
import { Walker } from '../../src/walk/index.ts';
import { LONG } from '../support/long.ts';
import { controlsOf } from '../support/x86-cases.ts';
import {
  copyOnWriteStore,
  letters,
  MapOps,
  PAGE,
  pages,
  put,
  ROOT,
  ramStore,
  sparseStore,
  WindowOps,
} from './stores.ts';

interface Store {
  readonly ops: TableOps<bigint>;
  /** The tables as a processor reads them. */
  memory(): PhysicalMemory;
  /** From here on, tables that are there must not be changed. */
  freeze?(): void;
}

const KINDS: Readonly<Record<string, () => Store>> = {
  'guest RAM in an ArrayBuffer': () => {
    const { ops, memory } = ramStore();
    return { ops, memory: () => memory };
  },
  'sparse memory': () => {
    const { ops, memory } = sparseStore();
    return { ops, memory: () => memory };
  },
  'a Map': () => {
    const ops = new MapOps();
    ops.logsReads = false;
    return { ops, memory: () => memoryOfTables(ops) };
  },
  'the virtual memory of a processor': () => {
    const ops = new WindowOps();
    return { ops, memory: () => ops.cpu.memory };
  },
  'tables that are copied when first written to': () => {
    const { ops, memory, freeze } = copyOnWriteStore();
    return { ops, memory: () => memory, freeze };
  },
};

interface Step {
  readonly virt: bigint;
  readonly phys: bigint;
  readonly len: bigint;
  readonly rights: string;
  readonly freeze: boolean;
}

const RIGHTS = ['r--', 'rw-', 'r-x', 'rwx', 'cow-', 'cowx', 'none'];
/** Near the borders of tables of every depth, in both halves. */
const BORDERS = [
  0n,
  0x20_0000n,
  0x4000_0000n,
  0x80_0000_0000n,
  0xffff_8000_0000_0000n,
  0xffff_ff80_0000_0000n,
];

const steps = fc.array(
  fc.record({
    virt: fc
      .tuple(fc.constantFrom(...BORDERS), fc.integer({ min: -6, max: 6 }))
      .map(([border, pages]) => BigInt.asUintN(48, border + BigInt(pages) * PAGE))
      .map((low) => (low >> 47n === 1n ? low + 0xffff_0000_0000_0000n : low)),
    phys: fc.bigInt({ min: 0n, max: 0xff_ffffn }).map((frame) => frame * PAGE),
    len: fc.oneof(fc.bigInt({ min: 0n, max: 12n * PAGE }), fc.constantFrom(0x20_0000n, 0x40_1000n)),
    rights: fc.constantFrom(...RIGHTS),
    freeze: fc.boolean(),
  }),
  { minLength: 1, maxLength: 24 },
);

/** What a mapping does, page by page, as the documentation has it. */
function remember(
  known: Map<bigint, { phys: bigint; rights: string }>,
  { virt, phys, len, rights }: Step,
): void {
  for (let done = 0n; done < len; done += PAGE) {
    const page = BigInt.asUintN(48, virt + done);
    if (rights === 'none') known.delete(page);
    else known.set(page, { phys: phys + done, rights });
  }
}

const withinSpace = ({ virt, len }: Step) => BigInt.asUintN(48, virt) + len < 1n << 48n;

describe.each([amd64, aarch64])('%s', (architecture) => {
  test('the same mappings give the same translations in stores of all kinds', () => {
    fc.assert(
      fc.property(steps, (given) => {
        const stores = Object.entries(KINDS).map(([name, make]) => ({ name, ...make() }));
        const known = new Map<bigint, { phys: bigint; rights: string }>();
        for (const step of given.filter(withinSpace)) {
          for (const { ops, freeze } of stores) {
            if (step.freeze) freeze?.();
            put(architecture, ops, step.virt, step.phys, step.len, step.rights);
          }
          remember(known, step);
        }
        const extended = (page: bigint) =>
          architecture === amd64 && page >> 47n === 1n ? page + 0xffff_0000_0000_0000n : page;
        const expected = [...known]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([page, { phys, rights }]) => [extended(page), phys, rights]);
        for (const { name, ops } of stores)
          expect([name, pages(architecture, ops)]).toEqual([name, expected]);
      }),
      { numRuns: LONG ? 400 : 20 },
    );
  }, 600_000);
});

const NO_FRAME = -1;

const bytesOf = ({ buffer, byteOffset, byteLength }: Uint32Array) =>
  new Uint8Array(buffer, byteOffset, byteLength);

/** Whether a kind of page can be accessed so. */
const ALLOWED: Readonly<Record<string, readonly [write: boolean, fetch: boolean]>> = {
  'r--': [false, false],
  'rw-': [true, false],
  'r-x': [false, true],
  rwx: [true, true],
  'cow-': [false, false],
  cowx: [false, true],
};

test.each(Object.keys(KINDS))(
  'a processor goes where virtToPhys says, with the rights of the kind: %s',
  (name) => {
    let accesses = 0;
    fc.assert(
      fc.property(steps, (given) => {
        const { ops, memory, freeze } = KINDS[name]();
        for (const step of given.filter(withinSpace)) {
          if (step.freeze) freeze?.();
          put(amd64, ops, step.virt, step.phys, step.len, step.rights);
        }
        const cr3 = ops.toPhys(ops.rootTable());
        // CR0.WP and EFER.NXE are set: supervisor writes respect R/W, and fetches XD.
        const tables = memory();
        const cpu = new X86Cpu(tables, { cr0: 0x8001_0001n, cr3, cr4: 0x20n, efer: 0xd00n });
        const translate = (virt: bigint, kind: number) =>
          Math.max(cpu.translate(highHalf(virt), lowHalf(virt), kind), NO_FRAME);
        // All tables are touched first: those of a Map are copied then.
        listRegions(tables, x86Paging(controlsOf({ mode: '4-level', cr3 }).ours));
        const before = tables.words.slice();
        const mapped = new Set<bigint>();
        for (const { virtBase, frame, kind } of virtToPhys(amd64, ops, 0n, 1n << 48n)) {
          mapped.add(virtBase);
          const [write, fetch] = ALLOWED[letters(kind)];
          const found = [
            translate(virtBase, READ),
            translate(virtBase + 0xfffn, WRITE),
            translate(virtBase, FETCH),
          ];
          const expected = [frame, write ? frame : NO_FRAME, fetch ? frame : NO_FRAME];
          // `expect` itself takes longer than all of these.
          if (found.some((each, i) => each !== expected[i]))
            expect([virtBase, found]).toEqual([virtBase, expected]);
          accesses += 3;
        }
        for (const border of BORDERS) {
          for (let i = -8n; i < 20n; i += 1n) {
            const low = BigInt.asUintN(48, border + i * PAGE);
            const virt = low >> 47n === 1n ? low + 0xffff_0000_0000_0000n : low;
            const found = mapped.has(virt) ? NO_FRAME : translate(virt, READ);
            if (found !== NO_FRAME) expect([virt, found]).toEqual([virt, NO_FRAME]);
          }
        }
        // Accessed and dirty are set from the start, so that the processor never writes to the tables.
        const now = tables.words.subarray(0, before.length);
        expect(Buffer.compare(bytesOf(before), bytesOf(now))).toBe(0);
      }),
      { numRuns: LONG ? 200 : 8 },
    );
    expect(accesses).toBeGreaterThan(1000);
  },
  600_000,
);

describe('tables of any store as memory', () => {
  const ops = new MapOps();
  put(amd64, ops, 0x40_0000n, 0x1234_5000n, 0x3000n, 'r-x');
  put(amd64, ops, 0xffff_8000_0000_0000n, 0x20_0000n, 0x20_1000n, 'rw-');
  const paging = x86Paging(controlsOf({ mode: '4-level', cr3: ROOT }).ours);

  test('Walker finds what virtToPhys finds', () => {
    const walker = new Walker(memoryOfTables(ops), paging);
    const found = [...virtToPhys(amd64, ops, 0n, 1n << 48n)];
    expect(found).toHaveLength(3 + 513);
    for (const { page, frame } of found) expect(walker.translate(page)).toBe(frame);
  });

  test('listRegions lists ranges, as mergedMappings does', () => {
    const regions = listRegions(memoryOfTables(ops), paging);
    const merged = [...mergedMappings(virtToPhys(amd64, ops, 0n, 1n << 48n))];
    expect(
      merged.map(({ virtBase, physBase, len, kind }) => [virtBase, physBase, len, letters(kind)]),
    ).toEqual([
      [0x40_0000n, 0x1234_5000n, 0x3000n, 'r-x'],
      [0xffff_8000_0000_0000n, 0x20_0000n, 0x20_1000n, 'rw-'],
    ]);
    expect(regions.map(({ kind, first, end }) => [kind, addressOf(first), addressOf(end - first)])).toEqual(
      merged.map(({ virtBase, len }) => ['mapped', virtBase, len]),
    );
  });

  test('explain says what the processor makes of an address', () => {
    const explained = explain(memoryOfTables(ops), paging, 0x40_1abcn);
    expect(explained.physical).toBe(0x1234_6abcn);
  });

  test('a table is read once, and what is written later is not seen', () => {
    const own = new MapOps();
    put(amd64, own, 0x1000n, 0x5000n, PAGE);
    const memory = memoryOfTables(own);
    const walker = new Walker(memory, paging);
    own.log.length = 0;
    expect(walker.translate(1)).toBe(5);
    expect(own.log).toHaveLength(4 * 512);
    put(amd64, own, 0x1000n, 0x6000n, PAGE);
    expect(walker.translate(1)).toBe(5);
    expect(new Walker(memoryOfTables(own), paging).translate(1)).toBe(6);
  });

  test('an operation that throws leaves no table that is half read', () => {
    const own = new MapOps();
    put(amd64, own, 0x1000n, 0x5000n, PAGE);
    const memory = memoryOfTables(own);
    const readEntry = own.readEntry.bind(own);
    let left = 700;
    own.readEntry = (addr) => {
      left -= 1;
      if (left < 0) throw new Error('gone');
      return readEntry(addr);
    };
    const walker = new Walker(memory, paging);
    expect(() => walker.translate(1)).toThrow('gone');
    left = 1e6;
    expect(walker.translate(1)).toBe(5);
  });

  test('what is no entry is refused, and so are too many tables', () => {
    const own = new MapOps();
    own.readEntry = () => 5 as unknown as bigint;
    expect(() => memoryOfTables(own).readEntry(256, 0)).toThrow(
      'readEntry returned: the number 5; expected a bigint',
    );
    expect(() => new Walker(memoryOfTables(ops, 2), paging).translate(0x400)).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    );
  });
});
