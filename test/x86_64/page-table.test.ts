// Expected values: notes on the Rust crate, sections 2 and 17 (vectors 58 and 59).
import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import {
  FrameError,
  OffsetPageTable,
  PageOffset,
  PageTable,
  PageTableEntry,
  PageTableFlags,
  PageTableIndex,
  PageTableLevel,
  PhysAddr,
  PhysFrame,
  ReadonlyPageTable,
  ReadonlyPageTableEntry,
  Size2MiB,
  VirtAddr,
} from '../../src/x86_64/index.ts';

const F = PageTableFlags;
const phys = (address: bigint) => new PhysAddr(address);
const frame = (address: bigint) => PhysFrame.fromStartAddress(phys(address));

/** An entry with these bits. */
function entryOf(bits: bigint): PageTableEntry {
  const entry = new PageTableEntry();
  const address = bits & 0x000f_ffff_ffff_f000n;
  entry.setAddr(phys(address), F.fromBitsRetain(bits ^ address));
  expect(entry.bits()).toBe(bits);
  return entry;
}

/** The `kind` of the error that `frame()` throws. */
function frameError(entry: ReadonlyPageTableEntry): string {
  try {
    return String(entry.frame());
  } catch (error) {
    expect(error).toBeInstanceOf(FrameError);
    expect(error).toBeInstanceOf(PageTableError);
    return (error as FrameError).kind;
  }
}

describe('PageTableEntry', () => {
  test('a new one is zero and unused', () => {
    const entry = new PageTableEntry();
    expect(entry.bits()).toBe(0n);
    expect(entry.isUnused()).toBe(true);
    expect(entry.flags().isEmpty()).toBe(true);
    expect(entry.addr().asU64()).toBe(0n);
  });

  test('unused means that all 64 bits are zero, not that it is not present', () => {
    expect(entryOf(0x200n).isUnused()).toBe(false);
    expect(entryOf(0x5000n).isUnused()).toBe(false);
    expect(entryOf(0x8000_0000_0000_0000n).isUnused()).toBe(false);
    const entry = entryOf(0x5003n);
    entry.setUnused();
    expect(entry.bits()).toBe(0n);
  });

  test('flags are all bits but the address bits, addr is the address bits', () => {
    const entry = entryOf(0xffff_ffff_ffff_ffffn);
    expect(entry.flags().bits()).toBe(0xfff0_0000_0000_0fffn);
    expect(entry.addr().asU64()).toBe(0x000f_ffff_ffff_f000n);
  });

  test('frame asks for P before it asks for H', () => {
    expect(frameError(entryOf(0x5000n))).toBe('FrameNotPresent');
    expect(frameError(entryOf(0x5080n))).toBe('FrameNotPresent');
    expect(frameError(entryOf(0x5081n))).toBe('HugeFrame');
    expect(frameError(entryOf(0x5001n))).toBe('PhysFrame[4KiB](0x5000)');
    expect(frameError(entryOf(0x8000_0000_0000_5e7fn))).toBe('PhysFrame[4KiB](0x5000)');
    expect(frameError(new PageTableEntry())).toBe('FrameNotPresent');
  });

  test('setAddr takes 4-KiB aligned addresses only (vector 58)', () => {
    const entry = entryOf(0x7003n);
    expect(() => entry.setAddr(phys(0x1001n), F.PRESENT)).toThrow(PageTableError);
    expect(entry.bits()).toBe(0x7003n);
  });

  test('setAddr does not mask the flags (vector 58)', () => {
    const entry = new PageTableEntry();
    entry.setAddr(phys(0x2000n), F.fromBitsRetain(0x1001n));
    expect(entry.addr().asU64()).toBe(0x3000n);
    expect(entry.flags().equals(F.PRESENT)).toBe(true);
  });

  test('setAddr may set HUGE_PAGE, setFrame may not', () => {
    const entry = new PageTableEntry();
    entry.setAddr(phys(0x20_0000n), F.PRESENT.union(F.HUGE_PAGE));
    expect(entry.bits()).toBe(0x20_0081n);
    expect(() => entry.setFrame(frame(0x3000n), F.PRESENT.union(F.HUGE_PAGE))).toThrow(PageTableError);
    expect(entry.bits()).toBe(0x20_0081n);
    entry.setFrame(frame(0x3000n), F.PRESENT.union(F.NO_EXECUTE));
    expect(entry.bits()).toBe(0x8000_0000_0000_3001n);
  });

  test('setFrame takes a frame of 4 KiB only', () => {
    const entry = new PageTableEntry();
    const large = PhysFrame.fromStartAddress(phys(0x20_0000n), Size2MiB);
    expect(() => entry.setFrame(large as never, F.PRESENT)).toThrow(PageTableError);
    expect(entry.isUnused()).toBe(true);
  });

  test('setFlags replaces all flags, keeps the address, checks nothing and masks nothing', () => {
    const entry = entryOf(0x8000_0000_0020_0083n);
    entry.setFlags(F.GLOBAL);
    expect(entry.bits()).toBe(0x20_0100n);
    entry.setFlags(F.HUGE_PAGE);
    expect(entry.bits()).toBe(0x20_0080n);
    entry.setFlags(F.fromBitsRetain(0x1001n));
    expect(entry.bits()).toBe(0x20_1001n);
  });

  test('a clone is an entry of its own', () => {
    const entry = entryOf(0x5003n);
    const copy = entry.clone();
    entry.setUnused();
    expect(copy.bits()).toBe(0x5003n);
    copy.setFlags(F.PRESENT);
    expect([copy.bits(), entry.bits()]).toEqual([0x5001n, 0n]);
  });

  test('its text says address and flags', () => {
    const text = String(entryOf(0x5003n));
    expect(text).toContain('PhysAddr(0x5000)');
    expect(text).toContain('PageTableFlags(PRESENT | WRITABLE)');
  });
});

describe('PageTable', () => {
  test('has 512 entries, empty at first', () => {
    const table = new PageTable();
    expect(table.isEmpty()).toBe(true);
    expect([...table.iter()].map((entry) => entry.bits())).toEqual(Array(512).fill(0n));
    expect([...table.iterMut()]).toHaveLength(512);
  });

  test('is indexed by a number or a PageTableIndex below 512', () => {
    const table = new PageTable();
    table.get(511).setFrame(frame(0x5000n), F.PRESENT);
    expect(table.get(new PageTableIndex(511)).bits()).toBe(0x5001n);
    for (const index of [512, -1, 0.5, Number.NaN]) expect(() => table.get(index)).toThrow(PageTableError);
  });

  test('any entry that is not zero makes it not empty', () => {
    for (const index of [0, 200, 511]) {
      const table = new PageTable();
      table.get(index).setFlags(F.BIT_9);
      expect(table.isEmpty()).toBe(false);
      table.get(index).setUnused();
      expect(table.isEmpty()).toBe(true);
      table.get(index).setFlags(F.NO_EXECUTE);
      expect(table.isEmpty()).toBe(false);
    }
  });

  test('entries come in order, each a live view of its own', () => {
    const table = new PageTable();
    [...table.iterMut()].forEach((entry, index) => {
      entry.setAddr(phys(BigInt(index) << 12n), F.PRESENT);
    });
    const entries = [...table.iter()];
    expect(entries.map((entry) => entry.addr().asU64())).toEqual(
      Array.from({ length: 512 }, (_, index) => BigInt(index) << 12n),
    );
    const first = table.get(7);
    const second = table.get(7);
    first.setFlags(F.DIRTY);
    expect([second.bits(), entries[7].bits()]).toEqual([0x7040n, 0x7040n]);
  });

  test('zero clears all of it', () => {
    const table = new PageTable();
    for (const entry of table.iterMut()) entry.setFlags(F.all());
    table.zero();
    expect(table.isEmpty()).toBe(true);
  });

  test('a clone has the same entries and shares none', () => {
    const table = new PageTable();
    table.get(0).setFlags(F.PRESENT);
    table.get(511).setFlags(F.NO_EXECUTE);
    const copy = table.clone();
    table.zero();
    expect([copy.get(0).bits(), copy.get(511).bits()]).toEqual([1n, 0x8000_0000_0000_0000n]);
    copy.get(3).setFlags(F.PRESENT);
    expect(table.isEmpty()).toBe(true);
  });
});

describe('tables in guest memory', () => {
  const makeMemory = () => {
    const buffer = new ArrayBuffer(16 * 4096);
    return { memory: flatMemory(buffer), words: new DataView(buffer) };
  };

  test('an entry is eight bytes, little endian, at its place', () => {
    const { memory, words } = makeMemory();
    const table = PageTable.at(memory, 0x3000n);
    table.get(5).setFrame(frame(0x1_2345_6000n), F.PRESENT.union(F.NO_EXECUTE));
    expect(words.getBigUint64(0x3000 + 5 * 8, true)).toBe(0x8000_0001_2345_6001n);
    words.setBigUint64(0x3000 + 511 * 8, 0x7_0000_0083n, true);
    expect(table.get(511).bits()).toBe(0x7_0000_0083n);
  });

  test('an entry taken earlier shows what is in memory now', () => {
    const { memory, words } = makeMemory();
    const entry = PageTable.at(memory, 0x3000n).get(1);
    expect(entry.isUnused()).toBe(true);
    words.setBigUint64(0x3008, 0x5003n, true);
    expect(entry.bits()).toBe(0x5003n);
    PageTable.at(memory, 0x3000n).zero();
    expect(entry.isUnused()).toBe(true);
  });

  test('zero and isEmpty mean the 4096 bytes of the table and no others', () => {
    const { memory, words } = makeMemory();
    new Uint8Array(words.buffer).fill(0xff);
    const table = PageTable.at(memory, 0x3000n);
    expect(table.isEmpty()).toBe(false);
    table.zero();
    expect(table.isEmpty()).toBe(true);
    const bytes = new Uint8Array(words.buffer);
    expect(bytes.indexOf(0)).toBe(0x3000);
    expect(bytes.lastIndexOf(0)).toBe(0x3fff);
  });

  test('a clone leaves guest memory', () => {
    const { memory, words } = makeMemory();
    words.setBigUint64(0x3008, 0x5003n, true);
    const copy = PageTable.at(memory, 0x3000n).clone();
    copy.get(1).setUnused();
    expect(words.getBigUint64(0x3008, true)).toBe(0x5003n);
    words.setBigUint64(0x3010, 0x6003n, true);
    expect(copy.get(2).isUnused()).toBe(true);
  });

  test.each([0x3001n, 0x3008n, 0x3800n])('a table at %s is misaligned', (address) => {
    expect(() => PageTable.at(makeMemory().memory, address)).toThrow(PageTableError);
    expect(() => PageTable.at(makeMemory().memory, address)).toThrow(
      expect.objectContaining({ code: 'MISALIGNED' }),
    );
  });

  test.each([0x1_0000n, 0x8000_0000_0000n, 0xffff_ffff_ffff_f000n, 1n << 64n, -0x1000n])(
    'a table at %s is not in memory',
    (address) => {
      expect(() => PageTable.at(makeMemory().memory, address)).toThrow(PageTableError);
    },
  );

  test('the first and the last frame of memory can be tables', () => {
    const { memory, words } = makeMemory();
    PageTable.at(memory, 0n).get(0).setFlags(F.PRESENT);
    PageTable.at(memory, 0xf000n).get(511).setFlags(F.PRESENT);
    expect([words.getBigUint64(0, true), words.getBigUint64(0xfff8, true)]).toEqual([1n, 1n]);
  });
});

describe('a table that is for reading only', () => {
  const makeMapper = () => {
    const memory = flatMemory(new ArrayBuffer(4096));
    return new OffsetPageTable(PageTable.at(memory, 0n), VirtAddr.zero());
  };

  test('shows what is written through the other one', () => {
    const mapper = makeMapper();
    const shown = mapper.level4Table();
    expect(shown).toBeInstanceOf(ReadonlyPageTable);
    mapper.level4TableMut().get(9).setFlags(F.BIT_11);
    expect(shown.get(9).bits()).toBe(0x800n);
    expect([...shown.iter()][9].bits()).toBe(0x800n);
    expect(shown.isEmpty()).toBe(false);
  });

  test('has no method that writes, and neither have its entries', () => {
    const mapper = makeMapper();
    const shown = mapper.level4Table();
    expect(shown).not.toBeInstanceOf(PageTable);
    for (const method of ['zero', 'iterMut']) expect(method in shown).toBe(false);
    for (const entry of [shown.get(0), [...shown.iter()][0]]) {
      expect(entry).toBeInstanceOf(ReadonlyPageTableEntry);
      expect(entry).not.toBeInstanceOf(PageTableEntry);
      for (const method of ['setUnused', 'setAddr', 'setFrame', 'setFlags']) {
        expect(method in entry).toBe(false);
      }
    }
  });

  test('a clone of it can be written', () => {
    const mapper = makeMapper();
    mapper.level4TableMut().get(1).setFlags(F.PRESENT);
    const copy = mapper.level4Table().clone();
    copy.get(1).setUnused();
    expect(mapper.level4Table().get(1).bits()).toBe(1n);
    const entry = mapper.level4Table().get(1).clone();
    entry.setUnused();
    expect(mapper.level4Table().get(1).bits()).toBe(1n);
  });
});

describe('PageTableIndex (section 2)', () => {
  test('is below 512; newTruncate takes it modulo 512 (vector 59)', () => {
    expect(new PageTableIndex(511).value).toBe(511);
    for (const index of [512, -1, 1.5, Number.NaN]) {
      expect(() => new PageTableIndex(index)).toThrow(PageTableError);
    }
    expect(PageTableIndex.newTruncate(513).value).toBe(1);
    expect(PageTableIndex.newTruncate(511).value).toBe(511);
    expect(PageTableIndex.newTruncate(65535).value).toBe(511);
  });

  test('is ordered', () => {
    const [low, high] = [new PageTableIndex(3), new PageTableIndex(4)];
    expect([low.compare(high), high.compare(low), low.compare(low)]).toEqual([-1, 1, 0]);
    expect([low.equals(high), low.equals(new PageTableIndex(3))]).toEqual([false, true]);
  });

  test('steps stay within the table (section 4)', () => {
    const index = (value: number) => new PageTableIndex(value);
    expect(PageTableIndex.forwardChecked(index(500), 11)?.value).toBe(511);
    expect(PageTableIndex.forwardChecked(index(500), 12)).toBeUndefined();
    expect(PageTableIndex.backwardChecked(index(12), 12)?.value).toBe(0);
    expect(PageTableIndex.backwardChecked(index(12), 13)).toBeUndefined();
    expect(PageTableIndex.forward(index(1), 1).value).toBe(2);
    expect(PageTableIndex.backward(index(1), 1).value).toBe(0);
    expect(() => PageTableIndex.forward(index(511), 1)).toThrow(PageTableError);
    expect(() => PageTableIndex.backward(index(0), 1)).toThrow(PageTableError);
    expect(PageTableIndex.stepsBetween(index(3), index(10))).toEqual([7, 7]);
    expect(PageTableIndex.stepsBetween(index(10), index(3))).toEqual([0, undefined]);
  });
});

describe('PageOffset (section 2)', () => {
  test('is below 4096; newTruncate takes it modulo 4096 (vector 59)', () => {
    expect(new PageOffset(4095).value).toBe(4095);
    for (const offset of [4096, -1, 1.5]) expect(() => new PageOffset(offset)).toThrow(PageTableError);
    expect(PageOffset.newTruncate(4097).value).toBe(1);
    expect(new PageOffset(1).compare(new PageOffset(2))).toBe(-1);
    expect(new PageOffset(2).equals(new PageOffset(2))).toBe(true);
  });
});

describe('PageTableLevel (section 2)', () => {
  const { One, Two, Three, Four } = PageTableLevel;

  test('there are four, one below the other', () => {
    expect([One, Two, Three, Four].map(({ value }) => value)).toEqual([1, 2, 3, 4]);
    expect([Four, Three, Two, One].map((level) => level.nextLowerLevel())).toEqual([
      Three,
      Two,
      One,
      undefined,
    ]);
    expect([One, Two, Three, Four].map((level) => level.nextHigherLevel())).toEqual([
      Two,
      Three,
      Four,
      undefined,
    ]);
  });

  test('a table covers 2^(12+9L) bytes, an entry of it a 512th', () => {
    const levels = [One, Two, Three, Four];
    expect(levels.map((level) => level.tableAddressSpaceAlignment())).toEqual([
      1n << 21n,
      1n << 30n,
      1n << 39n,
      1n << 48n,
    ]);
    expect(levels.map((level) => level.entryAddressSpaceAlignment())).toEqual([
      1n << 12n,
      1n << 21n,
      1n << 30n,
      1n << 39n,
    ]);
  });
});
