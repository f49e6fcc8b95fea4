// What was once accepted, or answered badly, and is refused or put right: one test each.
import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { flatMemory, type PhysicalMemory } from '../../src/memory/index.ts';
import {
  alignDown,
  alignUp,
  FreeListFrameAllocator,
  MappedPageTable,
  OffsetPageTable,
  Page,
  PageTable,
  PageTableFlags,
  PhysAddr,
  PhysFrame,
  PhysOffset,
  Size2MiB,
  Size4KiB,
  VirtAddr,
} from '../../src/x86_64/index.ts';

const { PRESENT, WRITABLE, HUGE_PAGE } = PageTableFlags;
const RW = PRESENT.union(WRITABLE);
const V = 0x80_8060_4000n;

/** As much of WebAssembly as is needed; its types are only in the DOM library. */
declare const WebAssembly: {
  readonly Memory: new (descriptor: {
    initial: number;
  }) => {
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  };
};

const page = (address: bigint) => Page.containingAddress(new VirtAddr(address));
const frames = () =>
  new FreeListFrameAllocator([PhysFrame.range(PhysFrame.fromPfn(16), PhysFrame.fromPfn(64))]);

function offsetMapper(memory: PhysicalMemory = flatMemory(new ArrayBuffer(1 << 20))): OffsetPageTable {
  return new OffsetPageTable(PageTable.at(memory, 0x1000n), VirtAddr.zero());
}

function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('calls from a callback', () => {
  test('are refused while frames are given back, and all frames come back first', () => {
    const mapper = offsetMapper();
    const taken: PhysFrame[] = [];
    const back: PhysFrame[] = [];
    const inside: unknown[] = [];
    const source = frames();
    const allocator = {
      allocateFrame() {
        const frame = source.allocateFrame();
        if (frame !== undefined) taken.push(frame);
        return frame;
      },
      deallocateFrame(frame: PhysFrame) {
        back.push(frame);
        inside.push(thrown(() => mapper.mapTo(page(V), PhysFrame.fromPfn(1), RW, source)));
      },
    };
    const error = thrown(() => mapper.mapTo(page(V), PhysFrame.fromPfn(1), RW.union(HUGE_PAGE), allocator));
    expect(error).toMatchObject({ code: 'BAD_ARGUMENT' });
    expect(back).toEqual([...taken].reverse());
    expect(taken).toHaveLength(3);
    expect(inside).toEqual(taken.map(() => expect.objectContaining({ code: 'REENTERED' })));
  });

  test('do not get the root for writing', () => {
    const mapper = offsetMapper();
    const allocator = { allocateFrame: () => void mapper.level4TableMut() as undefined };
    expect(thrown(() => mapper.mapTo(page(V), PhysFrame.fromPfn(1), RW, allocator))).toMatchObject({
      code: 'REENTERED',
    });
    expect(mapper.level4TableMut().isEmpty()).toBe(true);
  });
});

test('a mapper that only maps takes the fast way again after its memory has grown', () => {
  const wasm = new WebAssembly.Memory({ initial: 16 });
  const memory = flatMemory(wasm);
  const mapper = offsetMapper(memory);
  const allocator = frames();
  mapper.mapTo(page(V), PhysFrame.fromPfn(1), RW, allocator);
  wasm.grow(1);
  let general = 0;
  const { readEntry } = memory;
  memory.readEntry = (frame, index) => {
    general += 1;
    return readEntry.call(memory, frame, index);
  };
  for (let i = 1n; i < 10n; i += 1n) mapper.mapTo(page(V + i * 0x1000n), PhysFrame.fromPfn(1), RW, allocator);
  // Four levels, once.
  expect(general).toBe(4);
});

describe('a table that is not there', () => {
  test('is named with the entry that points to it', () => {
    const mapper = offsetMapper();
    mapper.level4TableMut().get(1).setAddr(new PhysAddr(0x1234_5000n), RW);
    for (const call of [
      () => mapper.translatePage(page(V)),
      () => mapper.mapTo(page(V), PhysFrame.fromPfn(1), RW, frames()),
    ]) {
      const error = thrown(call) as PageTableError;
      expect(error).toMatchObject({ code: 'NOT_IN_MEMORY', detail: { frame: 0x12345 } });
      expect(error.message).toContain(
        'the table to which the level-4 entry 1 (0x0000000012345003) points is not there',
      );
    }
  });

  test('ends a clean-up that says how far it came, wherever that table would be', () => {
    const far = offsetMapper();
    far.mapTo(page(0n), PhysFrame.fromPfn(1), RW, frames());
    far.unmap(page(0n));
    // Not canonical as an address, and not in memory.
    for (const address of [0xf_ffff_ffff_f000n, 0x7000_0000n]) {
      far.level4TableMut().get(1).setAddr(new PhysAddr(address), RW);
      far.mapTo(page(0n), PhysFrame.fromPfn(1), RW, frames());
      far.unmap(page(0n));
      const error = thrown(() => far.cleanUp({ deallocateFrame: () => {} })) as PageTableError;
      expect(error).toBeInstanceOf(PageTableError);
      expect(error.detail['freed']).toBe(3);
      expect(error.message).toContain('3 tables were freed before');
    }
  });
});

test('an offset in another memory than the root is followed there', () => {
  const [one, other] = [flatMemory(new ArrayBuffer(1 << 20)), flatMemory(new ArrayBuffer(1 << 20))];
  const mapper = new MappedPageTable(PageTable.at(one, 0x1000n), new PhysOffset(other, VirtAddr.zero()));
  mapper.mapTo(page(V), PhysFrame.fromPfn(7), RW, frames());
  expect(mapper.translateAddr(V + 5n)).toBe(0x7005n);
  expect(PageTable.at(one, 0x10000n).isEmpty()).toBe(true);
  expect(PageTable.at(other, 0x10000n).isEmpty()).toBe(false);
});

describe('numbers', () => {
  test('that are not whole are no distances and no counts', () => {
    for (const call of [
      () => new VirtAddr(0n).add(0.5),
      () => new PhysAddr(0x1000n).sub(0.5),
      () => page(0n).add(0.5),
      () => Page.forward(page(0n), 0.5),
      () => Page.backwardChecked(page(V), Number.NaN),
    ]) {
      expect(thrown(call)).toMatchObject({ name: 'PageTableError', code: 'OUT_OF_RANGE' });
    }
  });

  test.each([-1n, 1n << 64n])('%d is no address to align', (address) => {
    for (const align of [alignDown, alignUp]) {
      expect(thrown(() => align(address, 0x1000n))).toMatchObject({
        code: 'OUT_OF_RANGE',
        detail: { address },
      });
    }
  });

  test('0 can be taken away', () => {
    expect(page(V).sub(0).startAddress().asU64()).toBe(V);
    expect(new VirtAddr(V).sub(0).asU64()).toBe(V);
  });
});

test('blocks of different sizes are not equal, and have no order', () => {
  const [small, large] = [page(0n), Page.containingAddress(new VirtAddr(0n), Size2MiB)];
  expect(small.equals(large as never)).toBe(false);
  expect(thrown(() => small.compare(large as never))).toMatchObject({ code: 'BAD_ARGUMENT' });
  expect(thrown(() => Page.stepsBetween(small, large as never))).toMatchObject({ code: 'BAD_ARGUMENT' });
});

test('pages made without a check are as far apart as their addresses', () => {
  const at = (address: bigint) => PhysFrame.fromStartAddressUnchecked(new PhysAddr(address), Size4KiB);
  expect(at(0x1000n).sub(at(0xfffn))).toBe(0);
  expect(at(0x2000n).sub(at(0xfffn))).toBe(1);
  expect(thrown(() => at(0x1000n).sub(at(0x1001n)))).toBeInstanceOf(PageTableError);
});

test('an address that was not checked is aligned down, and its page is canonical', () => {
  expect(
    PhysAddr.newUnsafe(1n << 60n)
      .alignDown(0x1000n)
      .asU64(),
  ).toBe(1n << 60n);
  expect(Page.containingAddress(VirtAddr.newUnsafe(0x8000_0000_0123n)).startAddress().asU64()).toBe(
    0xffff_8000_0000_0000n,
  );
});

test('an allocator may say "none" with null', () => {
  const none = { allocateFrame: () => null as never };
  expect(thrown(() => offsetMapper().mapTo(page(V), PhysFrame.fromPfn(1), RW, none))).toMatchObject({
    kind: 'FrameAllocationFailed',
  });
});
