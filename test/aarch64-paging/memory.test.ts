// Where tables are: memory of one's own, shared and growing memory, allocators that fail, tables that are not there, other readers.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import * as fields from '../../src/format/aarch64/fields.ts';
import { aarch64Pagings, resolveAarch64Control } from '../../src/format/index.ts';
import { flatMemory, type PhysicalMemory, SparseMemory } from '../../src/memory/index.ts';
import { Walker } from '../../src/walk/index.ts';
import {
  Constraints,
  El1And0,
  El1Attributes,
  El2,
  El23Attributes,
  IdMap,
  Mapping,
  MemoryRegion,
  TargetAllocator,
  type Translation,
  VaRange,
} from './exports.ts';
import { F, G, M, P } from './machine.ts';

/** As much of WebAssembly as is needed; its types are only in the DOM library. */
declare const WebAssembly: {
  readonly Memory: new (limits: {
    initial: number;
    maximum: number;
  }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
};

const none = Constraints.empty();
const pagesOnly = Constraints.NO_BLOCK_MAPPINGS;
const el1 = (bits: bigint) => El1Attributes.fromBitsRetain(bits);
const refusal = (code: string) => expect.objectContaining({ name: 'PageTableError', code });

/** Frames from one on, as long as there are any. */
class Frames implements Translation {
  readonly memory: PhysicalMemory;
  next: number;
  left: number;

  constructor(memory: PhysicalMemory, next: number, left = 1 << 20) {
    this.memory = memory;
    this.next = next;
    this.left = left;
  }

  allocateTable(): number {
    if (this.left === 0) throw new RangeError('no more frames');
    this.left -= 1;
    this.next += 1;
    return this.next - 1;
  }

  deallocateTable(): void {
    this.left += 1;
  }
}

/** The same calls in any memory. */
function fill(translation: Translation): string {
  const map = Mapping.withAsidAndVaRange(translation, 1, 1, El1And0, VaRange.Lower);
  map.mapRange(new MemoryRegion(M - P, G + M), 0x8_0000_0000n - P, el1(F), none);
  map.mapRange(new MemoryRegion(4n * G, 4n * G + 2n * M), 0xffff_f000n, el1(F), pagesOnly);
  map.modifyRange(new MemoryRegion(G, G + P), (_region, entry) => entry.modifyFlags(el1(0x80n), el1(0n)));
  map.mapRange(new MemoryRegion(0n, M), 0n, el1(0n), none);
  map.compactSubtables();
  return String(map);
}

describe('memory of one’s own', () => {
  const expected = fill(new Frames(flatMemory(new ArrayBuffer(1 << 20)), 16));

  test('with what is in its frames: they are cleared', () => {
    const bytes = new Uint8Array(1 << 20).fill(0xa5);
    expect(fill(new Frames(flatMemory(bytes), 16))).toBe(expected);
  });

  test('shared with another thread, where entries are stored whole', () => {
    expect(fill(new Frames(flatMemory(new SharedArrayBuffer(1 << 20)), 16))).toBe(expected);
  });

  test('in several regions, and sparse', () => {
    const ram = flatMemory(new ArrayBuffer(1 << 20), [
      { address: 0x1_4000n, offset: 0, length: 1 << 16 },
      { address: 0x1_0000n, offset: 1 << 16, length: 0x4000 },
    ]);
    expect(fill(new Frames(ram, 16))).toBe(expected);
    const sparse = new SparseMemory();
    const frames = new Frames(sparse.memory, 16);
    const { allocateTable } = frames;
    frames.allocateTable = () => {
      const frame = allocateTable.call(frames);
      sparse.add(frame);
      return frame;
    };
    expect(fill(frames)).toBe(expected);
  });

  test('a WebAssembly memory may grow in the middle of a call', () => {
    const wasm = new WebAssembly.Memory({ initial: 16, maximum: 64 });
    const frames = new Frames(flatMemory(wasm), 16);
    const { allocateTable } = frames;
    frames.allocateTable = () => {
      wasm.grow(1);
      return allocateTable.call(frames);
    };
    expect(fill(frames)).toBe(expected);
    const map = Mapping.withAsidAndVaRange(new Frames(flatMemory(wasm), 100), 1, 1, El1And0, VaRange.Lower);
    map.mapRange(new MemoryRegion(0n, 4n * P), 0n, el1(F), none);
    const seen: number[] = [];
    map.walkRange(new MemoryRegion(0n, 4n * P), (_region, descriptor) => {
      seen.push(descriptor.frame);
      wasm.grow(1);
    });
    map.modifyRange(new MemoryRegion(0n, 4n * P), (_region, entry) => {
      wasm.grow(1);
      entry.modifyFlags(el1(0x80n), el1(0n));
      seen.push(entry.low);
    });
    expect(seen).toEqual([0, 1, 2, 3, 0x787, 0x1787, 0x2787, 0x3787]);
  });
});

describe('an allocator that fails', () => {
  test.each([1, 2, 3])('after %d tables: what it threw passes through, what was mapped stays', (count) => {
    const frames = new Frames(flatMemory(new ArrayBuffer(1 << 20)), 1, count);
    const map = Mapping.withAsidAndVaRange(frames, 1, 1, El1And0, VaRange.Lower);
    const region = new MemoryRegion(M - P, 2n * M + P);
    expect(() => map.mapRange(region, M - P, el1(F), none)).toThrow(new RangeError('no more frames'));
    const { tables, valid } = map.statistics();
    expect(tables.reduce((a, b) => a + b)).toBe(count);
    expect(valid).toEqual(count < 3 ? [0, 0, 0, 0] : [0, 0, 1, 1]);
    // With more frames the same call finishes.
    frames.left = 9;
    map.mapRange(region, M - P, el1(F), none);
    expect(map.statistics().valid).toEqual([0, 0, 1, 2]);
  });

  test('a block that cannot be split stays', () => {
    const frames = new Frames(flatMemory(new ArrayBuffer(1 << 20)), 1, 1);
    const map = Mapping.withAsidAndVaRange(frames, 1, 1, El1And0, VaRange.Lower);
    map.mapRange(new MemoryRegion(0n, G), 0n, el1(F), none);
    for (const change of [
      () => map.mapRange(new MemoryRegion(0n, P), 0n, el1(F | 0x80n), none),
      () => map.modifyRange(new MemoryRegion(0n, P), () => undefined),
    ]) {
      expect(change).toThrow(RangeError);
      expect(map.translate(0n)?.descriptor.bits()).toBe(0x705n);
    }
  });

  test.each([-1, 0.5, 2 ** 36, Number.NaN, undefined])('that gives %s', (frame) => {
    const translation = {
      memory: flatMemory(new ArrayBuffer(1 << 20)),
      allocateTable: () => frame as number,
      deallocateTable: () => undefined,
    };
    expect(() => new Mapping(translation, 1, El2)).toThrow(refusal('OUT_OF_RANGE'));
  });

  test('that gives a frame that is not in memory', () => {
    const frames = new Frames(flatMemory(new ArrayBuffer(1 << 20)), 256);
    expect(() => new Mapping(frames, 1, El2)).toThrow(refusal('NOT_IN_MEMORY'));
  });

  test('that calls the map', () => {
    const tables = new TargetAllocator(0n);
    const map = new Mapping(tables, 1, El2);
    const { allocateTable } = tables;
    tables.allocateTable = () => {
      map.mapRange(new MemoryRegion(0n, P), 0n, El23Attributes.VALID, none);
      return allocateTable.call(tables);
    };
    expect(() => map.mapRange(new MemoryRegion(0n, P), 0n, El23Attributes.VALID, none)).toThrow(
      refusal('REENTERED'),
    );
  });
});

describe('tables that others wrote', () => {
  test('an entry that leads out of memory', () => {
    const map = new IdMap(1, El2);
    map.memory.writeEntry(map.tables.root, 0, 0x5003, 0x7fff);
    const region = new MemoryRegion(0n, P);
    for (const call of [
      () => map.mapRange(region, El23Attributes.VALID),
      () => map.modifyRange(region, () => undefined),
      () => map.walkRange(region, () => undefined),
      () => map.translate(0n),
      () => map.statistics(),
      () => map.compactSubtables(),
      () => String(map),
      () => map.free(),
    ]) {
      expect(call).toThrow(refusal('NOT_IN_MEMORY'));
    }
  });

  test('a table that contains itself is walked once per way to it', () => {
    const map = new IdMap(2, El2);
    const { root } = map.tables;
    map.memory.writeEntry(root, 0, (root << 12) | 3, root >>> 20);
    let count = 0;
    map.walkRange(new MemoryRegion(0n, M), () => {
      count += 1;
    });
    expect(count).toBe(512);
  });
});

describe('walks of the format', () => {
  /** TCR for 39 bits in both halves, 4-KiB granule, 48 bits of output. */
  const TCR = 25n | (25n << 16n) | (2n << 30n) | (5n << 32n);

  test('find what the map says, before and after it has grown', () => {
    const translation = new TargetAllocator(0x4000_0000n);
    const lower = Mapping.withAsidAndVaRange(translation, 1, 1, El1And0, VaRange.Lower);
    const upper = Mapping.withAsidAndVaRange(translation, 1, 1, El1And0, VaRange.Upper);
    const { control } = resolveAarch64Control({
      ttbr0: lower.rootAddress().value,
      ttbr1: upper.rootAddress().value,
      tcr: TCR,
    });
    const walkers = aarch64Pagings(control).map((paging) => new Walker(translation.memory, paging));
    const page = fc.record({
      start: fc.integer({ min: 0, max: 2 ** 21 - 64 }),
      count: fc.integer({ min: 1, max: 2 ** 11 }),
      frame: fc.integer({ min: 0, max: 2 ** 24 }),
      shift: fc.constantFrom(0, 9),
      high: fc.boolean(),
      valid: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(page, { minLength: 1, maxLength: 6 }), (ranges) => {
        for (const { start, count, frame, shift, high, valid } of ranges) {
          const map = high ? upper : lower;
          const bias = high ? 2 ** 52 - 2 ** 27 : 0;
          const first = bias + start * (shift === 0 ? 1 : 64);
          const pa = BigInt(shift === 0 ? frame : (frame >> 9) << 9) << 12n;
          map.mapRange(MemoryRegion.ofPages(first, first + count), pa, el1(valid ? F : 0n), none);
          for (const each of [first, first + count - 1, first + count, first - 1]) {
            if (each < bias || each >= bias + 2 ** 27) continue;
            const address = BigInt(each) << 12n;
            expect(walkers[high ? 1 : 0].translateAddress(address)).toBe(
              map.translate(address)?.address.value,
            );
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

test.each<[keyof typeof El1Attributes & string, { readonly low: unknown; readonly high: unknown }]>([
  ['VALID', fields.VALID],
  ['TABLE_OR_PAGE', fields.TYPE],
  ['ATTRIBUTE_INDEX_MASK', fields.ATTR_INDEX],
  ['NS', fields.NON_SECURE],
  ['USER', fields.AP_USER],
  ['READ_ONLY', fields.AP_READ_ONLY],
  ['SHAREABILITY_MASK', fields.SHAREABILITY],
  ['ACCESSED', fields.ACCESS_FLAG],
  ['NON_GLOBAL', fields.NOT_GLOBAL],
  ['NT', fields.BLOCK_TRANSLATION],
  ['GP', fields.GUARDED],
  ['DBM', fields.DIRTY_MODIFIER],
  ['CONTIGUOUS_OR_PROTECTED', fields.CONTIGUOUS],
  ['PXN', fields.PRIVILEGED_EXECUTE_NEVER],
  ['UXN', fields.UNPRIVILEGED_EXECUTE_NEVER],
  ['PXN_TABLE', fields.PXN_TABLE],
  ['XN_TABLE', fields.UXN_TABLE],
  ['AP_TABLE_NO_EL0', fields.AP_TABLE_USER],
  ['AP_TABLE_NO_WRITE', fields.AP_TABLE_WRITE],
])('%s is where the format has it', (name, { low, high }) => {
  const flags = El1Attributes[name] as El1Attributes;
  const width = BigInt(Number(high) - Number(low) + 1);
  expect(flags.bits()).toBe(((1n << width) - 1n) << BigInt(Number(low)));
});
