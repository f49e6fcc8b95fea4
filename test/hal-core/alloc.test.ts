// Expected values: notes on mycelium, section 7 and M14.
import { describe, expect, test } from 'vitest';
import {
  Alloc,
  AllocError,
  BumpAlloc,
  EmptyAlloc,
  type NotAligned,
  PAddr,
  Page,
  type PageRange,
  Size2Mb,
  Size4Kb,
  VAddr,
} from '../../src/hal-core/index.ts';
import { refused, thrown } from './thrown.ts';

const frame = (address: bigint) => Page.startingAt(PAddr.fromUsize(address), Size4Kb);
const frames = (first: bigint, last: bigint) => frame(first).rangeInclusive(frame(last));
const base = (page: Page) => page.baseAddr().asUsize();

test('M14: EmptyAlloc refuses everything', () => {
  const none = new EmptyAlloc();
  const calls = [
    () => none.alloc(Size4Kb),
    () => none.allocRange(Size4Kb, 0n),
    () => none.dealloc(frame(0n)),
    () => none.deallocRange(frames(0n, 0x1000n)),
  ];
  for (const call of calls) expect(refused(call, 'OUT_OF_FRAMES')).toBeInstanceOf(AllocError);
});

test('errors: oom, and one made of NotAligned', () => {
  const unaligned = thrown(() => Page.startingAt(PAddr.fromUsize(1n), Size4Kb)) as NotAligned;
  expect(AllocError.from(unaligned)).toMatchObject({
    code: 'OUT_OF_FRAMES',
    cause: unaligned,
    detail: { address: 1n },
  });
  expect(AllocError.oom()).toMatchObject({ name: 'AllocError', message: 'the allocator has no frames left' });
});

test('one page is the first of a range, and the rest of a longer range is forgotten', () => {
  const log: string[] = [];
  class Generous extends Alloc<Size4Kb> {
    allocRange(size: Size4Kb, len: bigint): PageRange<PAddr, Size4Kb> {
      log.push(`alloc ${size} ${len}`);
      return frames(0x8000n, 0xb000n);
    }

    deallocRange(range: PageRange<PAddr, Size4Kb>): void {
      log.push(`dealloc ${base(range.start())} ${range.len()}`);
    }
  }
  const generous = new Generous();
  generous.dealloc(generous.alloc(Size4Kb));
  expect(log).toEqual(['alloc 4KB 1', `dealloc ${0x8000} 1`]);
});

describe('BumpAlloc', () => {
  test('gives the pages of its ranges in order, and those that came back first', () => {
    const alloc = new BumpAlloc([frames(0x8000n, 0x9000n), frames(0x2000n, 0x2000n)]);
    expect([alloc.remaining, alloc.allocated]).toEqual([3n, 0]);
    const given = [1, 2, 3].map(() => alloc.alloc(Size4Kb));
    expect(given.map(base)).toEqual([0x8000n, 0x9000n, 0x2000n]);
    expect(
      refused(() => alloc.alloc(Size4Kb), 'OUT_OF_FRAMES', /1 pages of 4KB .* there are 0 in all/),
    ).toBeInstanceOf(AllocError);
    for (const page of given.toReversed()) alloc.dealloc(page);
    expect([alloc.remaining, alloc.allocated]).toEqual([3n, 0]);
    expect([1, 2, 3].map(() => base(alloc.alloc(Size4Kb)))).toEqual([0x8000n, 0x9000n, 0x2000n]);
  });

  test('gives pages that lie one after the other', () => {
    const alloc = new BumpAlloc([frames(0x8000n, 0x9000n), frames(0x1_0000n, 0x1_3000n)]);
    const range = alloc.allocRange(Size4Kb, 3n);
    expect([base(range.start()), range.len(), alloc.allocated]).toEqual([0x1_0000n, 3n, 3]);
    expect(refused(() => alloc.allocRange(Size4Kb, 3n), 'OUT_OF_FRAMES').detail).toEqual({
      len: 3n,
      remaining: 3n,
    });
    alloc.deallocRange(range);
    expect(alloc.remaining).toBe(6n);
  });

  test('refuses pages that it did not give, or that are back: all of a range or none', () => {
    const alloc = new BumpAlloc([frames(0x8000n, 0xf000n)]);
    const range = alloc.allocRange(Size4Kb, 2n);
    for (const stranger of [frames(0x9000n, 0xa000n), frames(0x7000n, 0x8000n)]) {
      expect(refused(() => alloc.deallocRange(stranger), 'OUT_OF_FRAMES', 'is not in use')).toBeInstanceOf(
        AllocError,
      );
    }
    refused(() => alloc.deallocRange(frames(0x9000n, 0x8000n)), 'OUT_OF_RANGE', 'at least one page');
    expect(alloc.allocated).toBe(2);
    alloc.deallocRange(range);
    refused(() => alloc.dealloc(range.end()), 'OUT_OF_FRAMES', /0x9000.* is not in use/);
  });

  test('its ranges are of one size, and disjoint', () => {
    const large = Page.startingAt(PAddr.zero(), Size2Mb);
    const list = [frames(0x8000n, 0x9000n), large.rangeInclusive(large)];
    refused(() => new BumpAlloc(list as never), 'BAD_ARGUMENT', 'pages of 2MB; expected pages of 4096 bytes');
    refused(() => new BumpAlloc([frames(0x8000n, 0x9000n), frames(0x9000n, 0x9000n)]), 'OVERLAP', '0x9000');
    refused(() => new BumpAlloc([frames(0x9000n, 0x8000n)]), 'OUT_OF_RANGE', 'at least one page');
  });

  test.each<[string, (alloc: BumpAlloc) => unknown, string]>([
    ['another size', (alloc) => alloc.alloc(Size2Mb as never), 'pages of 2MB; expected pages of 4096 bytes'],
    ['no size', (alloc) => alloc.alloc(undefined as never), 'undefined; expected a page size'],
    [
      'a number of pages that is none',
      (alloc) => alloc.allocRange(Size4Kb, 1 as never),
      'expected a bigint: 1n',
    ],
    [
      'a linear page',
      (alloc) => alloc.dealloc(Page.startingAt(VAddr.zero(), Size4Kb) as never),
      'expected a Page of PAddr',
    ],
    ['no page', (alloc) => alloc.dealloc(undefined as never), 'dealloc: undefined; expected a Page of PAddr'],
    [
      'no ranges',
      () => new BumpAlloc(undefined as never),
      'BumpAlloc: undefined; expected PageRanges of PAddr',
    ],
    [
      'what its own allocRange gives, if that is no range',
      (alloc) => Object.assign(alloc, { allocRange: () => undefined }).alloc(Size4Kb),
      'allocRange returned: undefined; expected a PageRange of PAddr',
    ],
  ])('refuses %s', (_, call, says) => {
    expect(refused(() => call(new BumpAlloc([frames(0x8000n, 0x9000n)])), 'BAD_ARGUMENT').message).toContain(
      says,
    );
  });

  test('gives nothing if it has no range, and no range of no pages', () => {
    refused(() => new BumpAlloc([]).alloc(Size4Kb), 'OUT_OF_FRAMES');
    refused(
      () => new BumpAlloc([frames(0n, 0n)]).allocRange(Size4Kb, 0n),
      'OUT_OF_FRAMES',
      'expected at least one',
    );
  });
});
