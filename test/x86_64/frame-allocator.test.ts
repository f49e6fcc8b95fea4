// What the allocators promise: frames of several regions in order, a limit, and frames that come back.
import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import {
  BumpFrameAllocator,
  type FrameAllocator,
  FreeListFrameAllocator,
  OffsetPageTable,
  type PageSize,
  PageTable,
  PageTableFlags,
  PhysAddr,
  PhysFrame,
  Size2MiB,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import { frame4, page4 } from './calls.ts';

const range = (start: bigint, end: bigint) => PhysFrame.range(frame4(start), frame4(end));
const frame2 = (address: bigint) => PhysFrame.fromStartAddress(new PhysAddr(address), Size2MiB);

/** Start addresses of the next frames. */
function take<S extends PageSize>(allocator: FrameAllocator<S>, count: number): (bigint | undefined)[] {
  return Array.from({ length: count }, () => allocator.allocateFrame()?.startAddress().asU64());
}

const KINDS = [
  { name: 'BumpFrameAllocator', make: BumpFrameAllocator },
  { name: 'FreeListFrameAllocator', make: FreeListFrameAllocator },
] as const;

describe.each(KINDS)('$name', ({ make: Allocator }) => {
  test('hands out each frame of a region once, in order, then none', () => {
    const allocator = new Allocator([range(0x1000n, 0x4000n)]);
    expect(take(allocator, 5)).toEqual([0x1000n, 0x2000n, 0x3000n, undefined, undefined]);
  });

  test('goes on to the next region where one ends, and passes over empty ones', () => {
    const regions = [
      range(0x8000n, 0x9000n),
      range(0x5000n, 0x5000n),
      range(0x9000n, 0x5000n),
      range(0x1000n, 0x3000n),
    ];
    expect(take(new Allocator(regions), 5)).toEqual([0x8000n, 0x1000n, 0x2000n, undefined, undefined]);
    expect(take(new Allocator([]), 1)).toEqual([undefined]);
  });

  test('takes any iterable of regions', () => {
    function* regions() {
      yield range(0x1000n, 0x2000n);
      yield range(0x3000n, 0x4000n);
    }
    expect(take(new Allocator(regions()), 3)).toEqual([0x1000n, 0x3000n, undefined]);
  });

  test('leaves the ranges that it was given as they were', () => {
    const region = range(0x1000n, 0x4000n);
    take(new Allocator([region]), 2);
    expect(region.start.startAddress().asU64()).toBe(0x1000n);
    expect(region.len()).toBe(3);
  });

  test('stops at its limit', () => {
    const allocator = new Allocator([range(0x1000n, 0x2000n), range(0x8000n, 0x1_0000n)], { limit: 3 });
    expect(take(allocator, 5)).toEqual([0x1000n, 0x8000n, 0x9000n, undefined, undefined]);
    expect(take(new Allocator([range(0x1000n, 0x4000n)], { limit: 0 }), 1)).toEqual([undefined]);
  });

  test('counts what it has handed out and what is left', () => {
    const allocator = new Allocator([range(0x1000n, 0x4000n), range(0x8000n, 0xa000n)]);
    expect([allocator.allocated, allocator.remaining]).toEqual([0, 5]);
    take(allocator, 2);
    expect([allocator.allocated, allocator.remaining]).toEqual([2, 3]);
    take(allocator, 9);
    expect([allocator.allocated, allocator.remaining]).toEqual([5, 0]);
  });

  test('counts no more left than its limit allows', () => {
    const allocator = new Allocator([range(0x1000n, 0x8000n)], { limit: 3 });
    expect(allocator.remaining).toBe(3);
    take(allocator, 2);
    expect([allocator.allocated, allocator.remaining]).toEqual([2, 1]);
  });

  test('hands out frames of any size', () => {
    const allocator = new Allocator([PhysFrame.range(frame2(0x20_0000n), frame2(0x60_0000n))]);
    expect(allocator.allocateFrame()?.pageSize).toBe(Size2MiB);
    expect(take(allocator, 2)).toEqual([0x40_0000n, undefined]);
  });

  test('reaches the highest frame', () => {
    const last = 0xf_ffff_ffff_f000n;
    const allocator = new Allocator([range(last - 0x1000n, last)]);
    expect(take(allocator, 2)).toEqual([last - 0x1000n, undefined]);
  });

  test('makes tables for a mapper', () => {
    const memory = flatMemory(new ArrayBuffer(0x8000));
    const mapper = new OffsetPageTable(PageTable.at(memory, 0x1000n), VirtAddr.zero());
    const allocator = new Allocator([range(0x2000n, 0x8000n)]);
    mapper.mapTo(page4(0n), frame4(0x9000n), PageTableFlags.PRESENT, allocator).ignore();
    expect(allocator.allocated).toBe(3);
    expect(mapper.translateAddr(5n)).toBe(0x9005n);
  });
});

describe('FreeListFrameAllocator', () => {
  test('hands out what came back, last first, before anything new', () => {
    const allocator = new FreeListFrameAllocator([range(0x1000n, 0x9000n)]);
    take(allocator, 4);
    for (const address of [0x2000n, 0x4000n, 0x1000n]) allocator.deallocateFrame(frame4(address));
    expect(take(allocator, 5)).toEqual([0x1000n, 0x4000n, 0x2000n, 0x5000n, 0x6000n]);
  });

  test('goes on with what came back when nothing is new', () => {
    const allocator = new FreeListFrameAllocator([range(0x1000n, 0x3000n)]);
    expect(take(allocator, 3)).toEqual([0x1000n, 0x2000n, undefined]);
    allocator.deallocateFrame(frame4(0x1000n));
    expect(take(allocator, 2)).toEqual([0x1000n, undefined]);
  });

  test('its limit counts frames in use', () => {
    const allocator = new FreeListFrameAllocator([range(0x1000n, 0x9000n)], { limit: 2 });
    expect(take(allocator, 3)).toEqual([0x1000n, 0x2000n, undefined]);
    allocator.deallocateFrame(frame4(0x2000n));
    expect(take(allocator, 2)).toEqual([0x2000n, undefined]);
    allocator.deallocateFrame(frame4(0x1000n));
    allocator.deallocateFrame(frame4(0x2000n));
    expect(take(allocator, 3)).toEqual([0x2000n, 0x1000n, undefined]);
  });

  test('a frame that came back is left again', () => {
    const allocator = new FreeListFrameAllocator([range(0x1000n, 0x4000n)]);
    take(allocator, 3);
    expect(allocator.remaining).toBe(0);
    allocator.deallocateFrame(frame4(0x2000n));
    expect(allocator.remaining).toBe(1);
  });

  test.each([
    ['was not handed out yet', 0x3000n],
    ['is in no region', 0x1_0000n],
    ['is below the region', 0x0n],
  ])('refuses a frame that %s', (_, address) => {
    const allocator = new FreeListFrameAllocator([range(0x1000n, 0x5000n)]);
    take(allocator, 2);
    expect(() => allocator.deallocateFrame(frame4(address))).toThrow(PageTableError);
    expect(take(allocator, 3)).toEqual([0x3000n, 0x4000n, undefined]);
  });

  test('refuses a frame that came back already', () => {
    const allocator = new FreeListFrameAllocator([range(0x1000n, 0x5000n)]);
    take(allocator, 2);
    allocator.deallocateFrame(frame4(0x1000n));
    expect(() => allocator.deallocateFrame(frame4(0x1000n))).toThrow(PageTableError);
    expect(take(allocator, 3)).toEqual([0x1000n, 0x3000n, 0x4000n]);
    // Handed out again, it may come back again.
    allocator.deallocateFrame(frame4(0x1000n));
    expect(() => allocator.deallocateFrame(frame4(0x1000n))).toThrow(/0x1000/);
  });

  test('refuses a frame of another size', () => {
    const allocator = new FreeListFrameAllocator([range(0x20_0000n, 0x20_4000n)]);
    take(allocator, 2);
    expect(() => allocator.deallocateFrame(frame2(0x20_0000n) as never)).toThrow(PageTableError);
    expect(take(allocator, 1)).toEqual([0x20_2000n]);
  });

  test('knows a frame by its address, not by the object', () => {
    const allocator = new FreeListFrameAllocator([range(0x1000n, 0x5000n)]);
    const first = allocator.allocateFrame();
    allocator.deallocateFrame(frame4(0x1000n));
    expect(allocator.allocateFrame()?.startAddress().asU64()).toBe(first?.startAddress().asU64());
  });
});
