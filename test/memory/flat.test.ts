import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { x86Paging } from '../../src/format/index.ts';
import { ABSENT, flatMemory, type RamRegion } from '../../src/memory/index.ts';
import { NOT_IN_MEMORY, Walker } from '../../src/walk/index.ts';
import { entryTo, Tables } from '../support/tables.ts';
import { controlsOf, layOut } from '../support/x86-cases.ts';

/** As much of WebAssembly as is needed; its types are only in the DOM library. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: {
    initial: number;
    maximum?: number;
    shared?: boolean;
  }) => {
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
    grow(pages: number): number;
  };
};

/** A buffer of which word `i` of each 4096 bytes from `offset` holds the number of those bytes and `i`. */
function numbered(bytes: number, offset = 0): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes);
  new Uint32Array(buffer, offset).forEach((_, i, words) => {
    words[i] = ((i >>> 10) << 16) | (i & 1023);
  });
  return buffer;
}

/** For each frame the number that `numbered` wrote to its word 5, or `absent`. */
function found(memory: ReturnType<typeof flatMemory>, frames: readonly number[]): (number | 'absent')[] {
  return frames.map((frame) => {
    const at = memory.locate(frame);
    if (at === ABSENT) return 'absent';
    expect(memory.words[at + 5] & 0xffff).toBe(5);
    return memory.words[at + 5] >>> 16;
  });
}

describe('where frames lie', () => {
  test('without regions the whole buffer is RAM from address 0', () => {
    const memory = flatMemory(numbered(4 * 4096));
    expect(found(memory, [0, 1, 3, 4, 2 ** 40])).toEqual([0, 1, 3, 'absent', 'absent']);
  });

  test('bytes behind the last whole frame are not RAM', () => {
    const memory = flatMemory(new ArrayBuffer(2 * 4096 + 4095));
    expect([memory.locate(1), memory.locate(2)]).toEqual([1024, ABSENT]);
  });

  test('one region in a larger buffer', () => {
    const buffer = numbered(4096 * 8 + 64, 64);
    const memory = flatMemory(buffer, [{ address: 0x10_0000n, offset: 64 + 2 * 4096, length: 3 * 4096 }]);
    expect(found(memory, [0, 0xff, 0x100, 0x102, 0x103])).toEqual(['absent', 'absent', 2, 4, 'absent']);
  });

  test('several regions in any order, with a hole between them in memory and in the buffer', () => {
    const memory = flatMemory(numbered(4096 * 10), [
      { address: 0x100000000n, offset: 6 * 4096, length: 2 * 4096 },
      { address: 0n, offset: 4096, length: 3 * 4096 },
      { address: 0xfffff000n, offset: 9 * 4096, length: 4096 },
    ]);
    expect(found(memory, [0, 2, 3, 0xffffe, 0xfffff, 0x100000, 0x100001, 0x100002])).toEqual([
      1,
      3,
      'absent',
      'absent',
      9,
      6,
      7,
      'absent',
    ]);
  });

  test('a region at the top of 52-bit physical memory', () => {
    const memory = flatMemory(numbered(2 * 4096), [
      { address: 0xf_ffff_ffff_e000n, offset: 0, length: 8192 },
    ]);
    expect(found(memory, [2 ** 40 - 3, 2 ** 40 - 2, 2 ** 40 - 1, 2 ** 40, 0])).toEqual([
      'absent',
      0,
      1,
      'absent',
      'absent',
    ]);
  });

  test('many regions: each frame is found, and none between', () => {
    const regions: RamRegion[] = [];
    for (let i = 0; i < 100; i += 1) {
      regions.push({ address: BigInt(i * 3 + 1) << 12n, offset: ((i * 37) % 100) * 4096, length: 4096 });
    }
    const memory = flatMemory(numbered(100 * 4096), regions);
    for (let i = 0; i < 100; i += 1) {
      expect(found(memory, [i * 3, i * 3 + 1, i * 3 + 2])).toEqual(['absent', (i * 37) % 100, 'absent']);
    }
  });

  test('regions that touch in memory and in the buffer are one run to a reader', () => {
    const memory = flatMemory(numbered(4 * 4096), [
      { address: 0x2000n, offset: 2 * 4096, length: 8192 },
      { address: 0n, offset: 0, length: 8192 },
    ]);
    expect(found(memory, [0, 1, 2, 3, 4])).toEqual([0, 1, 2, 3, 'absent']);
  });
});

describe('regions that cannot be are typed errors that say what was found', () => {
  const at = (region: Partial<RamRegion>) => () =>
    flatMemory(new ArrayBuffer(16 * 4096), [{ address: 0n, offset: 0, length: 4096, ...region }]);
  const cases: readonly [string, () => unknown, string, string][] = [
    ['address in the middle of a frame', at({ address: 0x800n }), 'MISALIGNED', '0x800'],
    ['length of no whole frames', at({ length: 4097 }), 'MISALIGNED', '0x1001'],
    ['offset that is no multiple of 8', at({ offset: 4 }), 'MISALIGNED', '0x4'],
    ['offset that is not whole', at({ offset: 0.5 }), 'MISALIGNED', '0'],
    ['length that is no number', at({ length: Number.NaN }), 'MISALIGNED', 'NaN'],
    ['no bytes', at({ length: 0 }), 'OUT_OF_RANGE', '0x0'],
    ['fewer than no bytes', at({ length: -4096 }), 'OUT_OF_RANGE', '-0x1000'],
    ['offset before the buffer', at({ offset: -4096 }), 'OUT_OF_RANGE', '-0x1000'],
    ['end behind the buffer', at({ offset: 15 * 4096, length: 8192 }), 'OUT_OF_RANGE', '0x11000'],
    ['negative address', at({ address: -4096n }), 'OUT_OF_RANGE', '-0x1000'],
    ['address of more than 64 bits', at({ address: 1n << 64n }), 'OUT_OF_RANGE', '0x10000000000000000'],
    ['no region at all', () => flatMemory(new ArrayBuffer(4096), []), 'OUT_OF_RANGE', 'none'],
    ['a buffer of less than a frame', () => flatMemory(new ArrayBuffer(4095)), 'OUT_OF_RANGE', '0xfff'],
    [
      'regions that overlap in memory',
      () =>
        flatMemory(new ArrayBuffer(16 * 4096), [
          { address: 0x3000n, offset: 0, length: 4096 },
          { address: 0x1000n, offset: 4096, length: 3 * 4096 },
        ]),
      'OVERLAP',
      '0x3000',
    ],
    [
      'the same region twice',
      () =>
        flatMemory(new ArrayBuffer(16 * 4096), [
          { address: 0x5000n, offset: 0, length: 4096 },
          { address: 0x5000n, offset: 4096, length: 4096 },
        ]),
      'OVERLAP',
      '0x5000',
    ],
    [
      'regions not a multiple of 4096 bytes apart in the buffer',
      () =>
        flatMemory(new ArrayBuffer(16 * 4096), [
          { address: 0n, offset: 8, length: 4096 },
          { address: 0x1000n, offset: 4096 + 16, length: 4096 },
        ]),
      'MISALIGNED',
      '0x1010',
    ],
  ];

  test.each(cases)('%s', (_, make, code, value) => {
    expect(make).toThrow(PageTableError);
    expect(make).toThrow(expect.objectContaining({ code }));
    expect(make).toThrow(value);
  });
});

const FROM_ZERO = { first: 0, end: 8 };

/** Page 0 leads through tables 1, 2, 3 and 4 to frame 0x55. */
function tables(): Tables {
  const made = new Tables();
  for (const frame of [1, 2, 3, 4]) made.set(frame, 0, entryTo(frame === 4 ? 0x55 : frame + 1, 0x27n));
  return made;
}

const PAGING = x86Paging(controlsOf({ mode: '4-level', cr3: 0x1000n }).ours);

describe('buffers', () => {
  test('a part of a buffer, as a typed array; regions count from its beginning', () => {
    const { memory } = layOut(tables().frames, 'flat', FROM_ZERO);
    const buffer = new ArrayBuffer(0x100 + 8 * 4096 + 4096);
    const part = new Uint8Array(buffer, 0x100, 8 * 4096);
    part.set(new Uint8Array(memory.words.buffer));
    expect(new Walker(flatMemory(part), PAGING).translate(0)).toBe(0x55);
    const upper = flatMemory(part, [{ address: 0x3000n, offset: 3 * 4096, length: 5 * 4096 }]);
    expect([upper.locate(2), upper.words[upper.locate(4)]]).toEqual([ABSENT, 0x55_027]);
    expect(() => flatMemory(part, [{ address: 0n, offset: 4096, length: 8 * 4096 }])).toThrow(PageTableError);
  });

  test('a buffer that was transferred away is a typed error, not a walk through nothing', () => {
    const { memory: original } = layOut(tables().frames, 'flat', FROM_ZERO);
    const buffer = original.words.slice().buffer;
    const memory = flatMemory(buffer);
    const walker = new Walker(memory, PAGING);
    expect(walker.translate(0)).toBe(0x55);
    structuredClone(buffer, { transfer: [buffer] });
    for (const use of [() => walker.translate(0), () => walker.path(0), () => new Walker(memory, PAGING)]) {
      expect(use).toThrow(PageTableError);
      expect(use).toThrow(expect.objectContaining({ code: 'DETACHED' }));
    }
  });

  test('a SharedArrayBuffer', () => {
    const shared = new SharedArrayBuffer(8 * 4096);
    new Uint32Array(shared).set(layOut(tables().frames, 'flat', FROM_ZERO).memory.words);
    const walker = new Walker(flatMemory(shared), PAGING);
    expect(walker.translate(0)).toBe(0x55);
    expect(walker.translate(1)).toBe(-1);
  });

  test('a part of a WebAssembly memory that grows while a walker uses it', () => {
    const wasm = new WebAssembly.Memory({ initial: 2 });
    const region = { address: 0n, offset: 0x8000, length: 8 * 4096 };
    new Uint32Array(wasm.buffer, 0x8000).set(layOut(tables().frames, 'flat', FROM_ZERO).memory.words);
    const memory = flatMemory(wasm, [region]);
    const walker = new Walker(memory, PAGING);
    expect(walker.translate(0)).toBe(0x55);
    for (let i = 0; i < 3; i += 1) {
      const before = wasm.buffer;
      wasm.grow(4);
      expect(before.byteLength).toBe(0);
      expect(walker.translate(0)).toBe(0x55);
      expect(walker.path(0)).toMatchObject({ end: 'mapped', frame: 0x55 });
      expect(memory.words.buffer).toBe(wasm.buffer);
      // What the guest writes to the grown memory is seen.
      new Uint32Array(wasm.buffer, 0x8000)[4 * 1024 + 2] = ((0x60 + i) << 12) | 0x27;
      expect(walker.translate(1)).toBe(0x60 + i);
    }
  });

  test('path, and a walker that no other one went before, find a grown memory too', () => {
    const wasm = new WebAssembly.Memory({ initial: 1 });
    new Uint32Array(wasm.buffer).set(layOut(tables().frames, 'flat', FROM_ZERO).memory.words);
    const memory = flatMemory(wasm, [{ address: 0n, offset: 0, length: 8 * 4096 }]);
    const [first, second] = [new Walker(memory, PAGING), new Walker(memory, PAGING)];
    wasm.grow(1);
    expect(first.path(0).frame).toBe(0x55);
    expect(second.translate(0)).toBe(0x55);
    wasm.grow(1);
    expect(new Walker(memory, PAGING).translate(0)).toBe(0x55);
    expect(memory.current().length).toBe(8 * 1024);
  });

  test('a shared WebAssembly memory that grows keeps its old view', () => {
    const wasm = new WebAssembly.Memory({ initial: 1, maximum: 4, shared: true });
    new Uint32Array(wasm.buffer).set(layOut(tables().frames, 'flat', FROM_ZERO).memory.words);
    const memory = flatMemory(wasm, [{ address: 0n, offset: 0, length: 8 * 4096 }]);
    const walker = new Walker(memory, PAGING);
    wasm.grow(1);
    expect(walker.translate(0)).toBe(0x55);
    new Uint32Array(wasm.buffer)[4 * 1024 + 2] = (0x66 << 12) | 0x27;
    expect(walker.translate(1)).toBe(0x66);
  });

  test('tables outside the regions are not in memory, although the buffer has bytes there', () => {
    const { memory: whole } = layOut(tables().frames, 'flat', FROM_ZERO);
    const memory = flatMemory(whole.words.slice().buffer, [{ address: 0n, offset: 0, length: 4 * 4096 }]);
    const walker = new Walker(memory, PAGING);
    expect(walker.translate(0)).toBe(NOT_IN_MEMORY);
    expect(walker.path(0).frame).toBe(4);
  });
});

describe('storeEntry', () => {
  test.each([
    ['an ArrayBuffer', () => new ArrayBuffer(4 * 4096 + 8)],
    ['a SharedArrayBuffer', () => new SharedArrayBuffer(4 * 4096 + 8)],
  ])('stores both halves, little-endian, and nothing else: %s', (_, make) => {
    const buffer = make();
    const memory = flatMemory(buffer, [{ address: 0x4000n, offset: 8, length: 4 * 4096 }]);
    memory.storeEntry(memory.locate(6) + 10, 0x8765_4321, 0xfedc_ba98);
    const bytes = new Uint8Array(buffer);
    const at = 8 + 2 * 4096 + 40;
    expect([...bytes.subarray(at, at + 8)]).toEqual([0x21, 0x43, 0x65, 0x87, 0x98, 0xba, 0xdc, 0xfe]);
    expect(bytes.reduce((sum, byte) => sum + (byte === 0 ? 0 : 1), 0)).toBe(8);
    // Signed halves, as the walker reads them.
    memory.storeEntry(memory.locate(6) + 10, -1, -2);
    expect([...bytes.subarray(at, at + 8)]).toEqual([255, 255, 255, 255, 254, 255, 255, 255]);
    memory.storeEntry(memory.locate(6) + 10, 0, 0);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  test('on shared memory it is one atomic store, never two halves', () => {
    const shared = new SharedArrayBuffer(4096);
    const memory = flatMemory(shared);
    const stores: unknown[][] = [];
    const store = Atomics.store;
    const spied = Atomics as { store: (...operands: never[]) => unknown };
    spied.store = (...operands) => {
      stores.push(operands);
      return Reflect.apply(store, Atomics, operands);
    };
    try {
      memory.storeEntry(2, 0x8000_0067, 0x8000_0000);
    } finally {
      spied.store = store as typeof spied.store;
    }
    expect(stores).toHaveLength(1);
    const [array, index, value] = stores[0];
    expect(array).toBeInstanceOf(BigUint64Array);
    expect([index, BigInt.asUintN(64, value as bigint)]).toEqual([1, 0x8000_0000_8000_0067n]);
    expect([...memory.words.subarray(2, 4)]).toEqual([0x8000_0067, 0x8000_0000]);
  });
});

describe('a typed array is as much of its buffer as it shows', () => {
  test('RAM begins where the array begins, as v86’s mem8 does', () => {
    const heap = new ArrayBuffer(64 * 4096);
    const view = new Uint8Array(heap, 16 * 4096, 8 * 4096);
    new DataView(heap).setUint32(16 * 4096 + 3 * 4096, 0x1234_5678, true);
    const memory = flatMemory(view);
    expect(memory.words[memory.locate(3)]).toBe(0x1234_5678);
    expect(memory.locate(7)).toBeGreaterThan(0);
    expect(memory.locate(8)).toBe(ABSENT);
  });

  test('its own offset counts for alignment, and its own length for range', () => {
    const heap = new ArrayBuffer(64 * 4096);
    expect(() => flatMemory(new Uint8Array(heap, 4, 4096))).toThrow(/multiples of 8/);
    const regions = [{ address: 0n, offset: 4096, length: 4096 }];
    expect(() => flatMemory(new Uint8Array(heap, 4096, 4096), regions)).toThrow(/of its 0x1000 bytes/);
  });
});

test('a part of a buffer that was transferred away is DETACHED, too', () => {
  const buffer = new ArrayBuffer(3 * 4096);
  const memory = flatMemory(new Uint8Array(buffer, 4096, 2 * 4096));
  structuredClone(buffer, { transfer: [buffer] });
  expect(() => memory.current()).toThrow(expect.objectContaining({ code: 'DETACHED' }));
});

test('a buffer that was transferred away is DETACHED, by name', () => {
  const buffer = new ArrayBuffer(4 * 4096);
  const memory = flatMemory(buffer);
  structuredClone(buffer, { transfer: [buffer] });
  expect(() => memory.current()).toThrow(expect.objectContaining({ code: 'DETACHED' }));
});
