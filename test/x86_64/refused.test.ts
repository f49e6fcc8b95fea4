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

test('RAM at frame 2^32 and above is not taken for RAM at frame 0', () => {
  const address = 1n << 44n;
  const memory = flatMemory(new ArrayBuffer(1 << 18), [{ address, offset: 0, length: 1 << 18 }]);
  const mapper = new OffsetPageTable(PageTable.at(memory, address), VirtAddr.zero());
  const first = Number(address >> 12n);
  const allocator = new FreeListFrameAllocator([
    PhysFrame.range(PhysFrame.fromPfn(first + 1), PhysFrame.fromPfn(first + 16)),
  ]);
  mapper.mapTo(page(V), PhysFrame.fromPfn(7), RW, allocator);
  expect(mapper.translateAddr(V)).toBe(0x7000n);
  mapper.level4TableMut().get(1).setAddr(new PhysAddr(0x1000n), RW);
  expect(thrown(() => mapper.translateAddr(V))).toMatchObject({ code: 'NOT_IN_MEMORY' });
});

test('a frame of the allocator that is not in memory is found before the first write, whichever table it is for', () => {
  for (const bad of [0, 1, 2]) {
    const memory = flatMemory(new ArrayBuffer(1 << 20));
    const mapper = offsetMapper(memory);
    const given = [16, 17, 18].map((pfn, i) => PhysFrame.fromPfn(i === bad ? 0x9999 : pfn));
    const back: PhysFrame[] = [];
    const left = [...given];
    const allocator = {
      allocateFrame: () => left.shift(),
      deallocateFrame: (frame: PhysFrame) => void back.push(frame),
    };
    const error = thrown(() => mapper.mapTo(page(V), PhysFrame.fromPfn(1), RW, allocator)) as PageTableError;
    expect(error).toMatchObject({ code: 'NOT_IN_MEMORY', detail: { frame: 0x9999 } });
    expect(error.message).toContain(
      `mapTo: ${page(V)}: the table in ${given[bad]}, which the allocator gave`,
    );
    expect(memory.words.some((word) => word !== 0)).toBe(false);
    expect(back).toEqual(given.slice(0, bad + 1).reverse());
  }
});

describe('a memory that fails or calls back', () => {
  /** Tables of a caller's own, with something that happens at each write. */
  function tables(atWrite: (page: number) => void) {
    const words = new Map<string, [number, number]>();
    return {
      high: 0,
      readEntry(at: number, index: number) {
        const [low, high] = words.get(`${at} ${index}`) ?? [0, 0];
        this.high = high;
        return low;
      },
      writeEntry(at: number, index: number, low: number, high: number) {
        atWrite(at);
        words.set(`${at} ${index}`, [low, high]);
      },
    };
  }

  test('cannot call the mapper in the middle of an edit, and unmap gives the right frame', () => {
    const inside: unknown[] = [];
    let listening = false;
    const memory = tables(() => {
      if (listening) inside.push(thrown(() => mapper.translateAddr(0x1000n)));
    });
    const mapper = new OffsetPageTable(PageTable.at(memory, 0x1000n), VirtAddr.zero());
    mapper.mapTo(page(0x1000n), PhysFrame.fromPfn(0x111), RW, frames());
    mapper.mapTo(page(0x2000n), PhysFrame.fromPfn(0x222), RW, frames());
    listening = true;
    expect(mapper.unmap(page(0x2000n)).frame.pfn()).toBe(0x222);
    mapper.updateFlags(page(0x1000n), PRESENT);
    expect(inside).toHaveLength(2);
    for (const error of inside) expect(error).toMatchObject({ code: 'REENTERED' });
  });

  test('in the middle of a map leaves what is linked, and the rest of the frames goes back', () => {
    const source = frames();
    let failing = false;
    const memory = tables((at) => {
      if (failing && at === 16) throw new Error('disk on fire');
    });
    const mapper = new OffsetPageTable(PageTable.at(memory, 0x1000n), VirtAddr.zero());
    failing = true;
    // The first table, in frame 16, can be neither cleared nor linked.
    expect(String(thrown(() => mapper.mapTo(page(V), PhysFrame.fromPfn(1), RW, source)))).toBe(
      'Error: disk on fire',
    );
    expect(source.allocated).toBe(0);
    failing = false;
    mapper.mapTo(page(V), PhysFrame.fromPfn(1), RW, source);
    expect(source.allocated).toBe(3);
  });
});

test('what is no address, page, flags or range is named', () => {
  const mapper = offsetMapper();
  const calls: [() => unknown, string][] = [
    [
      () => mapper.translateAddr(0x5000 as never),
      'translateAddr: the number 20480; expected a VirtAddr or a bigint',
    ],
    [() => mapper.translate('0x5000' as never), 'translate: 0x5000; expected a VirtAddr or a bigint'],
    [
      () => mapper.translatePage(PhysFrame.fromPfn(1) as never),
      'translatePage: PhysFrame[4KiB](0x1000); expected a Page',
    ],
    [() => mapper.unmap(0x5000n as never), 'unmap: the bigint 20480; expected a Page'],
    [
      () => mapper.mapTo(page(V), page(V) as never, RW, frames()),
      'mapTo: Page[4KiB](0x8080604000); expected a PhysFrame',
    ],
    [
      () => mapper.mapTo(page(V), PhysFrame.fromPfn(1), 3n as never, frames()),
      'mapTo: the bigint 3; expected PageTableFlags',
    ],
    [() => mapper.updateFlags(page(V), 3 as never), 'updateFlags: the number 3; expected PageTableFlags'],
    [
      () => mapper.cleanUpAddrRange(Page.range(page(0n), page(V)) as never, frames()),
      'expected a PageRangeInclusive',
    ],
    [
      () => Page.containingAddress(0x5000n as never),
      'Page.containingAddress: the bigint 20480; expected a VirtAddr',
    ],
    [() => PhysFrame.fromStartAddress(new VirtAddr(0n) as never), 'expected a PhysAddr'],
    [() => VirtAddr.newTruncate(5 as never), 'VirtAddr.newTruncate: the number 5; expected a bigint: 5n'],
    [() => new VirtAddr('0x5000' as never), 'VirtAddr: 0x5000; expected a bigint'],
    [
      () => PageTable.at(flatMemory(new ArrayBuffer(4096)), 0 as never),
      'PageTable.at: the number 0; expected an address',
    ],
    [() => mapper.level4Table().get(1n as never), 'expected a whole number in [0, 512)'],
    [
      () => new FreeListFrameAllocator(PhysFrame.range(PhysFrame.fromPfn(1), PhysFrame.fromPfn(2)) as never),
      'a list of regions',
    ],
  ];
  for (const [call, text] of calls) {
    const error = thrown(call) as PageTableError;
    expect(error).toBeInstanceOf(PageTableError);
    expect(error.message).toContain(text);
  }
});

test('addresses and pages compare by value', () => {
  expect(new VirtAddr(0x9000n) < new VirtAddr(0x10000n)).toBe(true);
  let count = 0;
  for (let at = Page.fromPageNumber(9); at < Page.fromPageNumber(16); at = at.add(1)) count += 1;
  expect(count).toBe(7);
});

test('the size of a translated frame is narrowed by hasSize', () => {
  const mapper = offsetMapper();
  const large = Page.containingAddress(new VirtAddr(V), Size2MiB);
  mapper.mapTo(large, PhysFrame.fromPfn(0x200, Size2MiB), RW, frames());
  const result = mapper.translate(V);
  if (result.kind !== 'Mapped' || !result.frame.hasSize(Size2MiB)) throw new Error('expected a 2-MiB page');
  const frame: PhysFrame<Size2MiB> = result.frame;
  expect(frame.pfn()).toBe(0x200);
  expect(result.frame.hasSize(Size4KiB)).toBe(false);
});

test('a page, an entry and a table can be copied', () => {
  const mapper = offsetMapper();
  mapper.mapTo(page(V), PhysFrame.fromPfn(7), RW, frames());
  const copy = new PageTable();
  copy.set(300, mapper.level4Table().get(1));
  expect(copy.get(300).bits()).toBe(mapper.level4Table().get(1).bits());
});
