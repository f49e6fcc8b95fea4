// Expected values: notes on the Rust crate, sections 9 and 12.
import { describe, expect, test } from 'vitest';
import {
  type FlushSink,
  MapperFlush,
  MapperFlushAll,
  Page,
  PageTableFlags,
  PhysAddr,
  PhysFrame,
  Size1GiB,
  Size2MiB,
  VirtAddr,
} from '../../src/x86_64/index.ts';
import { frame4, page4 } from './calls.ts';
import { LAYOUTS, type Layout, Machine } from './machine.ts';

const V = 0x80_8060_4000n;
const PW = PageTableFlags.PRESENT.union(PageTableFlags.WRITABLE);

/** A sink that keeps what it was told. */
class Told implements FlushSink {
  readonly log: string[] = [];

  invalidate(page: { toString(): string }): void {
    this.log.push(String(page));
  }

  invalidateAll(): void {
    this.log.push('all');
  }
}

function machineWith(layout: Layout): { machine: Machine; told: Told } {
  const told = new Told();
  return { machine: new Machine(layout, { sink: told }), told };
}

describe.each(LAYOUTS)('$name', (layout) => {
  test('every call that changes a page gives a flush of that page, which tells the sink', () => {
    const { machine, told } = machineWith(layout);
    const { mapper, allocator } = machine;
    const giant = Page.fromStartAddress(new VirtAddr(0x4000_0000n), Size1GiB);
    const frame1G = PhysFrame.fromStartAddress(new PhysAddr(0x8000_0000n), Size1GiB);
    const flushes = [
      mapper.mapTo(page4(V), frame4(0x123000n), PW, allocator),
      mapper.mapToWithTableFlags(giant, frame1G, PW, PW, allocator),
      mapper.identityMap(PhysFrame.fromStartAddress(new PhysAddr(0x20_0000n), Size2MiB), PW, allocator),
      mapper.updateFlags(page4(V), PageTableFlags.PRESENT),
      mapper.unmap(page4(V)).flush,
    ];
    expect(told.log).toEqual([]);
    const pages = [
      'Page[4KiB](0x8080604000)',
      'Page[1GiB](0x40000000)',
      'Page[2MiB](0x200000)',
      'Page[4KiB](0x8080604000)',
      'Page[4KiB](0x8080604000)',
    ];
    expect(flushes.map((flush) => String(flush.page()))).toEqual(pages);
    expect(told.log).toEqual([]);
    for (const flush of flushes) flush.flush();
    expect(told.log).toEqual(pages);
  });

  test('setFlags gives a flush of everything', () => {
    const { machine, told } = machineWith(layout);
    const { mapper, allocator } = machine;
    mapper.mapTo(page4(V), frame4(0x123000n), PW, allocator).ignore();
    const flushes = [
      mapper.setFlagsP4Entry(page4(V), PW),
      mapper.setFlagsP3Entry(page4(V), PW),
      mapper.setFlagsP2Entry(page4(V), PW),
    ];
    expect(told.log).toEqual([]);
    for (const flush of flushes) flush.flushAll();
    expect(told.log).toEqual(['all', 'all', 'all']);
  });

  test('ignore tells nobody, and neither does a flush that is dropped', () => {
    const { machine, told } = machineWith(layout);
    const { mapper, allocator } = machine;
    mapper.mapTo(page4(V), frame4(0x123000n), PW, allocator).ignore();
    mapper.setFlagsP4Entry(page4(V), PW).ignore();
    mapper.updateFlags(page4(V), PW);
    mapper.unmap(page4(V)).flush.ignore();
    mapper.cleanUp(allocator);
    expect(told.log).toEqual([]);
  });

  test('clean-up flushes nothing (section 11)', () => {
    const { machine, told } = machineWith(layout);
    const { mapper, allocator } = machine;
    mapper.mapTo(page4(V), frame4(0x123000n), PW, allocator).ignore();
    mapper.unmap(page4(V)).flush.ignore();
    mapper.cleanUp(allocator);
    mapper.cleanUpAddrRange(Page.rangeInclusive(page4(V), page4(V)), allocator);
    expect(allocator.freed).toHaveLength(3);
    expect(told.log).toEqual([]);
  });

  test('an error tells nobody', () => {
    const { machine, told } = machineWith(layout);
    const { mapper } = machine;
    expect(() => mapper.unmap(page4(V))).toThrow();
    expect(() => mapper.updateFlags(page4(V), PW)).toThrow();
    expect(told.log).toEqual([]);
  });

  test('without a sink flush and flushAll do nothing', () => {
    const { mapper, allocator } = new Machine(layout);
    mapper.mapTo(page4(V), frame4(0x123000n), PW, allocator).flush();
    mapper.setFlagsP4Entry(page4(V), PW).flushAll();
    expect(mapper.translateAddr(V)).toBe(0x123000n);
  });
});

describe('flushes by themselves', () => {
  test('are made of a page, and of a sink where there is one', () => {
    const told = new Told();
    const page = Page.fromStartAddress(new VirtAddr(0x20_0000n), Size2MiB);
    const flush = new MapperFlush(page, told);
    expect(flush.page().equals(page)).toBe(true);
    flush.ignore();
    flush.flush();
    new MapperFlushAll(told).ignore();
    new MapperFlushAll(told).flushAll();
    expect(told.log).toEqual(['Page[2MiB](0x200000)', 'all']);
    new MapperFlush(page).flush();
    new MapperFlushAll().flushAll();
  });
});
