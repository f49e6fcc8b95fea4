// Random calls on a recursive mapper over a processor that remembers what it may, with every flush that is needed, beside the
// same calls on an OffsetPageTable over the same tables: wherever the notes on the Rust crate, section 9.8, say that both agree,
// every answer and every word must be the same, save accessed and dirty bits. A processor that remembers must then translate as
// one that remembers nothing.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { X86Cpu } from '../../src/cpu/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import {
  MapperFlush,
  MapperFlushAll,
  OffsetPageTable,
  PageTable,
  type PhysFrame,
  RecursivePageTable,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import { LONG } from '../support/long.ts';
import { type Calls, frame4, hex, type Mapper, MapperCalls, type SizeName } from './calls.ts';
import { addressAt, PAE_PGE, PG, WP } from './recursive-machine.ts';

const BYTES = 48 * 4096;
const ROOT = 0x1000n;
const P = 1n;
const H = 0x80n;
/** Accessed and dirty. */
const MARKS = 0x60;
const LEVEL: Readonly<Record<SizeName, number>> = { '4KiB': 1, '2MiB': 2, '1GiB': 3 };

/** A mapper of which every flush is performed at once, or every one but those of new mappings, which need none. */
function flushing(mapper: Mapper, lazily: boolean): Mapper {
  const perform = <T>(result: T): T => {
    const flush = result instanceof Object && 'flush' in result ? result.flush : result;
    if (result instanceof MapperFlush) result.flush();
    else if (result instanceof MapperFlushAll) result.flushAll();
    else if (flush instanceof MapperFlush) flush.flush();
    return result;
  };
  return new Proxy(mapper, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      const makes = name === 'mapTo' || name === 'mapToWithTableFlags' || name === 'identityMap';
      if (makes && lazily) return member.bind(target);
      return (...given: unknown[]) => perform(member.apply(target, given));
    },
  });
}

/** Gives the lowest frame that is free, so that the order in which frames come back does not matter. */
class LowestFirst {
  private readonly free: bigint[];
  /** Frames in use. */
  allocated = 0;

  constructor(first: bigint, frames: number) {
    this.free = Array.from({ length: frames }, (_, i) => first + 4096n * BigInt(i));
  }

  allocateFrame(): PhysFrame | undefined {
    const address = this.free.shift();
    if (address === undefined) return undefined;
    this.allocated += 1;
    return frame4(address);
  }

  deallocateFrame(frame: PhysFrame): void {
    const address = frame.startAddress().asU64();
    if (this.free.includes(address)) throw new Error(`${frame} came back twice`);
    this.allocated -= 1;
    this.free.push(address);
    this.free.sort((a, b) => (a < b ? -1 : 1));
  }
}

// ---- what is random

/** Indices at level 4, 3, 2 and 1; no index at level 4 is that of an entry pointing back. */
const LEVELS = [
  [2, 2, 2, 2, 300, 509],
  [2, 2, 2, 2, 1, 511],
  // 508 has the bits of 3 the other way round, and so have the low two of 1 and 2.
  [3, 3, 3, 508],
  [4, 4, 0],
] as const;
const address = fc
  .tuple(...LEVELS.map((indices) => fc.constantFrom(...indices)))
  .map(([i4, i3, i2, i1]) => addressAt(i4, i3, i2, i1));
const page = fc
  .record({ size: fc.constantFrom<SizeName>('4KiB', '4KiB', '4KiB', '2MiB', '1GiB'), address })
  .map(({ size, address }) => ({ size, at: address & ~(0x1000n * 512n ** BigInt(LEVEL[size] - 1) - 1n) }));

// PRESENT and WRITABLE are always there: without them the mappers differ.
const tableFlags = fc.constantFrom(3n, 3n, 7n, 0x203n, 0x1bn, (1n << 63n) | 3n, (1n << 52n) | 7n);
const flags = fc.oneof(
  { weight: 4, arbitrary: tableFlags },
  // GLOBAL in a table would outlast a reload of CR3.
  { weight: 2, arbitrary: fc.constantFrom(0x103n, 0x63n) },
  // A panic of the original for pages of 4 KiB.
  { weight: 1, arbitrary: fc.constantFrom(0x83n, 0x87n) },
);
const parents = fc.oneof(
  { weight: 6, arbitrary: tableFlags },
  // A panic of the original for new tables, and refused for others.
  { weight: 1, arbitrary: fc.constantFrom(0x83n) },
);
const frame = fc.constantFrom(
  0n,
  0x2_c000n,
  0x2_d000n,
  0x20_0000n,
  0x4000_0000n,
  0x4020_0000n,
  0x7fff_c000_0000n,
  0x8000_0000_0000n,
  0xf_ffff_ffff_f000n,
  0x9_0800n,
);

interface Call {
  readonly name: string;
  readonly run: (calls: Calls) => string;
  /** The entry that it is about, and whether it is changed as one of a page or of a table. */
  readonly about?: { readonly page: bigint; readonly level: number; readonly as?: 'page' | 'table' };
  /** Whether the TLB may hold windows of tables that are gone afterwards, which no flush names. */
  readonly freesTables?: boolean;
}

const calls: fc.Arbitrary<Call> = fc
  .record({ kind: fc.nat(21), page, frame, flags, parents, tableFlags, address, last: address })
  .map(({ kind, page: { size, at }, frame, flags, parents, tableFlags, address, last }): Call => {
    const of = `${size} ${hex(at)}`;
    switch (kind) {
      case 0:
        return { name: 'cleanUp', run: (c) => c.cleanUp(), freesTables: true };
      case 1:
        return {
          name: `cleanUpRange ${hex(address)} ${hex(last)}`,
          run: (c) => c.cleanUpRange(address, last),
          freesTables: true,
        };
      case 2:
        return {
          name: `identity ${size} ${hex(frame)} ${hex(flags)}`,
          run: (c) => c.identity(size, frame, flags),
        };
      case 3:
      case 4: {
        // Bit 7 in a level-1 entry: the one translates it, the other panics.
        const given = size === '4KiB' ? flags & ~H : flags;
        return {
          name: `update ${of} ${hex(given)}`,
          run: (c) => c.update(size, at, given),
          about: { page: at, level: LEVEL[size], as: 'page' },
        };
      }
      case 5:
      case 6:
      case 7: {
        const level = ([4, 3, 2] as const)[kind - 5];
        return {
          name: `setFlags${level} ${of} ${hex(tableFlags)}`,
          run: (c) => c.setFlags(level, size, at, tableFlags),
          about: { page: at, level, as: 'table' },
        };
      }
      case 8:
        return {
          name: `translatePage ${of}`,
          run: (c) => c.translatePage(size, at),
          about: { page: at, level: LEVEL[size] },
        };
      case 9:
        return { name: `translate ${hex(address)}`, run: (c) => c.translate(address + 0x234n) };
      case 10:
        return { name: `translateAddr ${hex(address)}`, run: (c) => c.translateAddr(address + 0x234n) };
      case 11:
      case 12:
      case 13:
      case 14:
        return { name: `unmap ${of}`, run: (c) => c.unmap(size, at) };
      case 15:
      case 16:
        return {
          name: `mapWith ${of} ${hex(frame)} ${hex(flags)} ${hex(parents)}`,
          run: (c) => c.mapWith(size, at, frame, flags, parents),
        };
      default:
        return { name: `map ${of} ${hex(frame)} ${hex(flags)}`, run: (c) => c.map(size, at, frame, flags) };
    }
  });

const scenario = fc.record({
  // Frames are mapped to themselves with the indices 0 and 255.
  slot: fc.constantFrom(200, 1, 254, 256, 510),
  wp: fc.boolean(),
  lazily: fc.boolean(),
  /** With marks, pages are not accessed: their own entries would be marked, and the answers differ. */
  accessedDirty: fc.boolean(),
  caching: fc.constantFrom<'all' | 'none' | number>('all', 'all', 'all', 1, 6, 'none'),
  frames: fc.constantFrom(0, 1, 2, 3, 5, 24, 24, 24, 24, 24, 24),
  sequence: fc.array(calls, { minLength: 1, maxLength: 40, size: 'max' }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never;

// ---- how it is judged

/** The entry of a level on the way to an address, or why there is none. */
function entryOf(ram: BigUint64Array, address: bigint, level: number): bigint | 'below a page' | undefined {
  let table = ROOT;
  for (let each = 4; ; each -= 1) {
    // RAM has less than 2^32 bytes.
    const entry = ram[Number(table / 8n + ((address >> BigInt(12 + 9 * (each - 1))) & 511n))];
    if (each === level) return entry;
    if ((entry & H) !== 0n) return 'below a page';
    if ((entry & P) === 0n) return undefined;
    table = entry & 0xf_ffff_ffff_f000n;
  }
}

function play(
  { slot, wp, lazily, accessedDirty, caching, frames, sequence }: Scenario,
  count: (key: string) => void,
): void {
  const side = () => {
    const buffer = new ArrayBuffer(BYTES);
    const allocator = new LowestFirst(0x1_0000n, frames);
    return { buffer, ram: new BigUint64Array(buffer), halves: new Uint32Array(buffer), allocator };
  };
  const [is, must] = [side(), side()];
  const [halves, otherHalves] = [is.halves, must.halves];
  const [bytes, otherBytes] = [Buffer.from(is.buffer), Buffer.from(must.buffer)];
  const sameFrame = (at: number) => bytes.compare(otherBytes, at, at + 4096, at, at + 4096) === 0;
  // Only the recursive mapper's tables have the entry pointing back: the other one's clean-up would follow it.
  const slotWord = Number(ROOT / 8n) + slot;
  is.ram[slotWord] = ROOT | 3n;
  for (const { ram } of [is, must]) {
    // What the allocator gives first holds junk.
    for (let i = 0; i < frames * 512; i += 1) ram[0x1_0000 / 8 + i] = 0xdead_0000_0000_0000n + BigInt(i);
  }
  const memory = flatMemory(is.buffer);
  const registers = { cr0: PG | (wp ? WP : 0n), cr3: ROOT, cr4: PAE_PGE, physBits: 52 };
  const cpu = new X86Cpu(memory, registers, { caching, accessedDirty });
  const fresh = new X86Cpu(memory, registers, { caching: 'none', accessedDirty: false });
  const recursive = new RecursivePageTable(PageTable.at(cpu, addressAt(slot, slot, slot, slot)));
  const offset = new OffsetPageTable(PageTable.at(flatMemory(must.buffer), ROOT), VirtAddr.zero());
  const ours = new MapperCalls(flushing(recursive, lazily), is.allocator);
  const others = new MapperCalls(offset, must.allocator);

  const log: string[] = [];
  for (const { name, run, about, freesTables } of sequence) {
    const entry = about && entryOf(must.ram, about.page, about.level);
    // What recursive windows show where a table was made a page, or below a page, the other mapper does not follow.
    const isOther = about?.as !== undefined && typeof entry === 'bigint' && entry !== 0n;
    const isTable = typeof entry === 'bigint' && (about?.level ?? 1) > 1 && (entry & H) === 0n;
    if (entry === 'below a page' || (isOther && isTable !== (about.as === 'table'))) {
      count(`${name.split(' ')[0]} passed over`);
      continue;
    }
    const wanted = run(others);
    log.push(`${name}: ${wanted}`);
    const found = run(ours);
    if (found !== wanted) expect(found, log.join('\n')).toBe(wanted);
    count(`${name.split(' ')[0]} ${wanted.startsWith('0x') ? 'mapped' : wanted.split(/[ (]/)[0]}`);
    if (freesTables) cpu.reloadCr3();
    // A call that fails gives no flush, but HUGE_PAGE for tables may have made a page of one, with global pages below it.
    if (/^mapWith .* 0x83$/.test(name) && wanted === 'ParentEntryHugePage') cpu.invpcid(2);
    if (is.allocator.allocated !== must.allocator.allocated) {
      expect(is.allocator.allocated, log.join('\n')).toBe(must.allocator.allocated);
    }
    for (let half = 0; half < halves.length; half += 1) {
      // Most frames are the same.
      if (half % 1024 === 0 && sameFrame(half * 4)) {
        half += 1023;
        continue;
      }
      const difference = halves[half] ^ otherHalves[half];
      const i = half >> 1;
      if (difference === 0 || i === slotWord || (half % 2 === 0 && (difference & ~MARKS) === 0)) continue;
      expect.fail(
        `${log.join('\n')}\n[${hex(8n * BigInt(i))}] is ${hex(is.ram[i])}, must be ${hex(must.ram[i])}`,
      );
    }
    if (accessedDirty) continue;
    for (const place of SEEN) {
      const [high, low] = [Number(place >> 32n) | 0, Number(place & 0xffff_ffffn)];
      const [found, wanted] = [cpu.translate(high, low, 0), fresh.translate(high, low, 0)];
      if (found !== wanted) expect(found, `${log.join('\n')}\n${hex(place)}`).toBe(wanted);
    }
  }
}

/** Addresses at which the two processors are compared. */
const SEEN = [
  addressAt(2, 2, 3, 4),
  addressAt(2, 2, 3, 0),
  addressAt(2, 1, 508, 4),
  addressAt(2, 511, 3, 4),
  addressAt(300, 2, 3, 4),
  addressAt(509, 511, 508, 0),
];

test('as OffsetPageTable, call by call and word by word, wherever both must agree', () => {
  const seed = 7001;
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(scenario, (one) => {
      play(one, (key) => seen.set(key, (seen.get(key) ?? 0) + 1));
    }),
    { numRuns: LONG ? 6_000 : 300, seed },
  );
  const total = [...seen.values()].reduce((sum, times) => sum + times, 0);
  const list = [...seen].sort().map(([key, times]) => `${key} ${times}`);
  console.log(`recursive and offset mapper: ${total} calls from seed ${seed}; ${list.join(', ')}`);
  for (const key of [
    'map Ok',
    'map PageAlreadyMapped',
    'map ParentEntryHugePage',
    'map FrameAllocationFailed',
    'map abort',
    'mapWith Ok',
    'mapWith abort',
    'identity Ok',
    'unmap Ok',
    'unmap PageNotMapped',
    'unmap ParentEntryHugePage',
    'update Ok',
    'setFlags4 Ok',
    'setFlags3 Ok',
    'setFlags2 Ok',
    'setFlags2 ParentEntryHugePage',
    'translate Mapped',
    'translate NotMapped',
    'translatePage Ok',
    'cleanUp Ok',
    'cleanUpRange Ok',
  ]) {
    expect([key, (seen.get(key) ?? 0) >= 5]).toEqual([key, true]);
  }
});
