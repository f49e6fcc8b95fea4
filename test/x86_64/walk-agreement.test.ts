// What a mapper maps, the walker finds, and what it unmaps, the walker finds no longer. The walker knows nothing of mappers:
// it reads the formats' tables of facts.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { x86Paging } from '../../src/format/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import { Walker } from '../../src/walk/index.ts';
import {
  FreeListFrameAllocator,
  MappedPageTable,
  OffsetPageTable,
  PageTable,
  PhysFrame,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import { LONG } from '../support/long.ts';
import { controlsOf } from '../support/x86-cases.ts';
import { frame4, type Mapper, MapperCalls, type SizeName } from './calls.ts';
import { indexAt } from './reference-mapper.ts';

const P = 1n;
const H = 0x80n;
const MASK = 0x000f_ffff_ffff_f000n;
const ROOT = 0x1000n;
/** Tables come from here; pages are mapped to frames behind it. */
const TABLES_END = 0x10_0000n;

const BYTES: Readonly<Record<SizeName, bigint>> = {
  '4KiB': 0x1000n,
  '2MiB': 0x20_0000n,
  '1GiB': 0x4000_0000n,
};
const LEAF: Readonly<Record<SizeName, number>> = { '4KiB': 1, '2MiB': 2, '1GiB': 3 };

/** Tables in low memory, a mapper and a walker over the same words. */
class Space {
  readonly mapper: Mapper;
  readonly walker: Walker;
  readonly calls: MapperCalls;
  readonly taken: bigint[] = [];
  readonly freed: bigint[] = [];
  readonly words: BigUint64Array;

  constructor(kind: 'OffsetPageTable' | 'MappedPageTable') {
    const buffer = new ArrayBuffer(Number(TABLES_END));
    const memory = flatMemory(buffer);
    this.words = new BigUint64Array(buffer);
    const level4 = PageTable.at(memory, ROOT);
    this.mapper =
      kind === 'OffsetPageTable'
        ? new OffsetPageTable(level4, VirtAddr.zero())
        : new MappedPageTable(level4, {
            frameToPointer: (frame) => PageTable.at(memory, frame.startAddress().asU64()),
          });
    this.walker = new Walker(memory, x86Paging(controlsOf({ mode: '4-level', cr3: ROOT }).ours));
    const frames = new FreeListFrameAllocator([PhysFrame.range(frame4(0x2000n), frame4(TABLES_END))]);
    this.calls = new MapperCalls(this.mapper, {
      allocateFrame: () => {
        const frame = frames.allocateFrame();
        if (frame !== undefined) this.taken.push(frame.startAddress().asU64());
        return frame;
      },
      deallocateFrame: (frame) => {
        frames.deallocateFrame(frame);
        this.freed.push(frame.startAddress().asU64());
      },
    });
  }

  /** The entry of a page at a level, if all tables above it are present. */
  entry(address: bigint, level: number): bigint | undefined {
    let table = ROOT;
    for (let at = 4; ; at -= 1) {
      // Tables lie below 1 MiB.
      const entry = this.words[Number(table / 8n + indexAt(address, at))];
      if (at === level) return entry;
      if ((entry & P) === 0n || (entry & H) !== 0n) return undefined;
      table = entry & MASK;
    }
  }

  /** In what the mapper and the walker differ about an address, or `undefined`. */
  difference(address: bigint): string | undefined {
    const found = this.mapper.translate(address);
    const path = this.walker.path(Number(address >> 12n)); // At most 52 bits.
    // A level-1 entry that is not zero is mapped for `translate`, present or not (section 9.7). Above it must be present.
    const mapped = found.kind === 'Mapped' && (found.flags.bits() & P) !== 0n;
    const ours =
      mapped && found.kind === 'Mapped'
        ? `mapped ${Math.log2(Number(found.frame.size()))} ${found.frame.pfn() + Math.floor(found.offset / 4096)}`
        : 'not-present';
    const walked = path.end === 'mapped' ? `mapped ${path.pageShift} ${path.frame}` : path.end;
    return ours === walked ? undefined : `0x${address.toString(16)}: ${ours}, but walked: ${walked}`;
  }

  /** Whether an entry points to a table; pages lie elsewhere. */
  pointsToTable(entry: bigint): boolean {
    const address = entry & MASK;
    return address !== 0n && address < TABLES_END;
  }
}

// A few pages in both halves, that share tables at every level.
const page = fc
  .record({
    i4: fc.constantFrom(0n, 1n, 255n, 256n, 511n),
    i3: fc.constantFrom(0n, 2n, 511n),
    i2: fc.constantFrom(0n, 3n, 511n),
    i1: fc.constantFrom(0n, 4n, 511n),
    size: fc.constantFrom<SizeName>('4KiB', '4KiB', '2MiB', '1GiB'),
  })
  .map(({ i4, i3, i2, i1, size }) => {
    const address = BigInt.asUintN(
      64,
      BigInt.asIntN(48, (i4 << 39n) | (i3 << 30n) | (i2 << 21n) | (i1 << 12n)),
    );
    return { size, address: address - (address % BYTES[size]) };
  });
type PageOf = typeof page extends fc.Arbitrary<infer T> ? T : never;

/** A frame for a page of any size, behind the tables. */
const frameNumber = fc.integer({ min: 1, max: 1000 }).map(BigInt);
const frameFor = (size: SizeName, number: bigint) =>
  size === '4KiB' ? TABLES_END + number * 0x1000n : number * BYTES[size];

/** Flags other than PRESENT and HUGE_PAGE. */
const FLAG_SETS = [
  0n,
  2n,
  4n,
  6n,
  0x18n,
  0x60n,
  0x100n,
  0xe00n,
  1n << 63n,
  (1n << 63n) | 0x7ff0_0000_0000_0002n,
];
const someFlags = fc.constantFrom(...FLAG_SETS);
/** PRESENT three times in four. */
const flags = fc.tuple(someFlags, fc.constantFrom(P, P, P, 0n)).map(([rest, present]) => rest | present);

type Operation = (space: Space, page: PageOf) => string;

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ number: frameNumber, flags }).map(({ number, flags }): Operation => {
      return ({ calls }, { size, address }) =>
        `map ${calls.map(size, address, frameFor(size, number), flags)}`;
    }),
  },
  {
    weight: 3,
    arbitrary: fc.constant<Operation>(
      ({ calls }, { size, address }) => `unmap ${calls.unmap(size, address)}`,
    ),
  },
  {
    weight: 2,
    // Bit 7 in a 4-KiB leaf is PAT, which changes no address.
    arbitrary: fc.record({ flags, pat: fc.constantFrom(0n, 0n, H) }).map(({ flags, pat }): Operation => {
      return (space, { size, address }) => {
        const entry = space.entry(address, LEAF[size]);
        // It would make a large page of a table (section 16, defect 2), at an address that hardware refuses.
        if (size !== '4KiB' && entry !== undefined && space.pointsToTable(entry)) return 'update passed over';
        return `update ${space.calls.update(size, address, size === '4KiB' ? flags | pat : flags)}`;
      };
    }),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({ flags, level: fc.constantFrom<4 | 3 | 2>(4, 3, 2) })
      .map(({ flags, level }): Operation => {
        return (space, { size, address }) => {
          const entry = space.entry(address, level);
          // It would make a table of a large page, in memory that holds data (the same).
          if (entry !== undefined && entry !== 0n && !space.pointsToTable(entry)) return 'set passed over';
          return `set ${space.calls.setFlags(level, size, address, flags)}`;
        };
      }),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Operation>(({ calls }) => `clean ${calls.cleanUp()}`),
  },
  {
    weight: 1,
    arbitrary: fc.constant<Operation>(({ calls }, { size, address }) => {
      return `clean range ${calls.cleanUpRange(address, address + BYTES[size] - 0x1000n)}`;
    }),
  },
);

/** Some pages, and what is done with which of them. */
const sequence = fc.record({
  pages: fc.array(page, { minLength: 2, maxLength: 8, size: 'max' }),
  operations: fc.array(fc.tuple(operation, fc.nat()), { minLength: 5, maxLength: 40, size: 'max' }),
});

/** The page, its ends, and the pages beside it. */
function around({ size, address }: PageOf): bigint[] {
  const bytes = BYTES[size];
  return [address, address + bytes / 2n, address + bytes - 1n, address - 0x1000n, address + bytes].filter(
    (one) => one >= 0n && one < 1n << 64n && (one < 1n << 47n || one >= (1n << 64n) - (1n << 47n)),
  );
}

describe.each(['OffsetPageTable', 'MappedPageTable'] as const)('%s', (kind) => {
  test('after each of a random sequence of calls the walker and translate agree', () => {
    const seed = kind === 'OffsetPageTable' ? 4001 : 4002;
    const seen = new Map<string, number>();
    let compared = 0;
    let mapped = 0;
    fc.assert(
      fc.property(sequence, ({ pages, operations }) => {
        const space = new Space(kind);
        const touched = new Set<bigint>();
        for (const [run, choice] of operations) {
          const page = pages[choice % pages.length];
          const key = run(space, page).split('(')[0];
          seen.set(key, (seen.get(key) ?? 0) + 1);
          for (const address of around(page)) touched.add(address);
          for (const address of touched) {
            compared += 1;
            const difference = space.difference(address);
            // `expect` itself takes longer than all of this.
            if (difference !== undefined) expect(difference).toBeUndefined();
            if (space.mapper.translate(address).kind === 'Mapped') mapped += 1;
          }
        }
      }),
      { numRuns: LONG ? 4_000 : 200, seed },
    );
    const list = [...seen].sort().map(([name, times]) => `${name} ${times}`);
    console.log(
      `${kind} and walker: ${compared} addresses compared from seed ${seed}, ${mapped} mapped; ${list.join(', ')}`,
    );
    expect(mapped).toBeGreaterThan(1000);
    for (const name of [
      'map Ok',
      'map PageAlreadyMapped',
      'map ParentEntryHugePage',
      'map abort',
      'unmap Ok',
      'unmap PageNotMapped',
      'unmap ParentEntryHugePage',
      'update Ok',
      'set Ok',
      'clean Ok',
      'clean range Ok',
    ]) {
      expect([name, (seen.get(name) ?? 0) >= 10]).toEqual([name, true]);
    }
  });

  test('mapped, then unmapped, then cleaned up: every frame is back, and the root is all zero', () => {
    const seed = kind === 'OffsetPageTable' ? 4003 : 4004;
    let tables = 0;
    let pages = 0;
    fc.assert(
      fc.property(
        fc.array(fc.record({ page, number: frameNumber, flags: someFlags, place: fc.nat() }), {
          minLength: 1,
          maxLength: 40,
          size: 'max',
        }),
        fc.boolean(),
        (wanted, inHalves) => {
          const space = new Space(kind);
          const { calls } = space;
          const done: { page: PageOf; frame: bigint; place: number }[] = [];
          for (const { page, number, flags, place } of wanted) {
            const frame = frameFor(page.size, number);
            const result = calls.map(page.size, page.address, frame, flags | P);
            if (result === 'Ok') done.push({ page, frame, place });
            else expect(result).toMatch(/^(PageAlreadyMapped|ParentEntryHugePage)/);
          }
          pages += done.length;
          tables += space.taken.length;
          for (const { page, frame } of done) {
            const walked = space.walker.translate(Number(page.address >> 12n));
            if (walked !== Number(frame >> 12n)) expect(walked).toBe(Number(frame >> 12n));
          }
          // Nothing is freed while anything is mapped below it.
          for (const { page, frame } of done.sort((a, b) => a.place - b.place)) {
            const found = [
              calls.cleanUp(),
              calls.unmap(page.size, page.address),
              space.difference(page.address),
              calls.translate(page.address),
            ];
            const expected = ['Ok', `Ok(0x${frame.toString(16)})`, undefined, 'NotMapped'];
            if (found.some((each, i) => each !== expected[i])) expect(found).toEqual(expected);
          }
          if (inHalves) {
            calls.cleanUpRange(0n, 0x7fff_ffff_f000n);
            calls.cleanUpRange(0xffff_8000_0000_0000n, 0xffff_ffff_ffff_f000n);
          } else {
            calls.cleanUp();
          }
          expect(space.mapper.level4Table().isEmpty()).toBe(true);
          expect(space.freed.toSorted()).toEqual(space.taken.toSorted());
          expect(new Set(space.freed).has(ROOT)).toBe(false);
          expect(space.words.every((word) => word === 0n)).toBe(true);
        },
      ),
      { numRuns: LONG ? 4_000 : 200, seed },
    );
    console.log(`${kind}: ${pages} pages mapped and unmapped, ${tables} tables made and freed, seed ${seed}`);
    expect(tables).toBeGreaterThan(1000);
  });
});

test('the walker refuses what translate shows: a misaligned large page is reserved to hardware', () => {
  const space = new Space('OffsetPageTable');
  expect(space.calls.map('2MiB', 0x20_0000n, 0x80_2000n, P)).toBe('Ok');
  expect(space.calls.translate(0x20_0000n)).toBe('Mapped 2MiB 0x800000 off 0x0 flags 0x81');
  expect(space.walker.path(0x200).end).toBe('reserved');
});
