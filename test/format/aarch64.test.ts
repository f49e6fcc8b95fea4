import { describe, expect, test } from 'vitest';
import { highHalf, lowHalf } from '../../src/bits/index.ts';
import {
  AARCH64_DENIED_BY,
  type Aarch64Control,
  ACCESSES,
  aarch64Denials,
  aarch64Format,
  aarch64Paging,
  aarch64Pagings,
  abortSyndrome,
  combinedDescriptors,
  fieldsOf,
  GRANULES,
  groupOrder,
  type Half,
  halfOf,
  isDirty,
  isGlobal,
  isPresent,
  knownAarch64Control,
  leadsToTable,
  mairType,
  orPageRights,
  orRights,
  pageFrame,
  pageOrder,
  resolveAarch64Control,
  rightsText,
  startLevel,
  statusText,
  syndromeBits,
} from '../../src/format/index.ts';
import { flatMemory } from '../../src/memory/index.ts';
import { Walker } from '../../src/walk/index.ts';

// Expected values: Arm ARM (DDI 0487), chapter D8 and the register descriptions, written out here.

const T = (size: number, granule = 0) => BigInt(size) | (BigInt(granule) << 14n);
const BASE: Aarch64Control = {
  ttbr0: 0x1000n,
  ttbr1: 0x2000n,
  // Both halves of 48 bits, 4K granule (TG1 = 10), IPS = 48 bits.
  tcr: T(16) | (16n << 16n) | (2n << 30n) | (5n << 32n),
  mair: 0xff_44_04_00n,
  sctlr: 1n,
  pan: false,
  physBits: 48,
};

function half(which: Half, changes: Partial<Aarch64Control> = {}) {
  const paging = aarch64Paging({ ...BASE, ...changes }, which);
  if (paging === undefined) throw new Error('no walks');
  return paging;
}

describe('geometry', () => {
  // Tables D8-18, D8-28, D8-37: start level and entries of the root.
  test.each([
    ['4K', 48, 0, 512],
    ['4K', 47, 0, 256],
    ['4K', 42, 0, 8],
    ['4K', 40, 0, 2],
    ['4K', 39, 1, 512],
    ['4K', 36, 1, 64],
    ['4K', 30, 2, 512],
    ['4K', 21, 3, 512],
    ['16K', 48, 0, 2],
    ['16K', 47, 1, 2048],
    ['16K', 42, 1, 64],
    ['16K', 39, 1, 8],
    ['16K', 36, 2, 2048],
    ['64K', 48, 1, 64],
    ['64K', 47, 1, 32],
    ['64K', 42, 2, 8192],
    ['64K', 39, 2, 1024],
    ['64K', 36, 2, 128],
  ] as const)('%s, %i bits: the root is at level %i and has %i entries', (name, bits, level, entries) => {
    const granule = GRANULES.find((one) => one.name === name) ?? GRANULES[0];
    expect(startLevel(granule, bits)).toBe(level);
    const { levels } = aarch64Format(granule, bits, false);
    expect(levels[0].table).toBe(`level ${level} table`);
    expect(2 ** (levels[0].indexHigh - levels[0].indexLow + 1)).toBe(entries);
    // Index bits follow one another down to the page.
    for (const [i, one] of levels.entries()) {
      expect(one.indexLow).toBe(i + 1 < levels.length ? levels[i + 1].indexHigh + 1 : granule.shift);
    }
  });

  // Section "Granule sizes", table "Contiguous": leaf sizes and group sizes of each level.
  test.each([
    ['4K', 12, { 30: 34, 21: 25, 12: 16 }],
    ['16K', 14, { 25: 30, 14: 21 }],
    ['64K', 16, { 29: 34, 16: 21 }],
  ] as const)('%s: blocks, pages and contiguous groups', (name, _, groups) => {
    const granule = GRANULES.find((one) => one.name === name) ?? GRANULES[0];
    const { levels } = aarch64Format(granule, 48, false);
    const found = levels.flatMap(({ entries }) =>
      entries.flatMap(({ pageShift, contiguous }) =>
        pageShift === undefined ? [] : [[pageShift, pageShift + Math.log2(contiguous ?? 0)]],
      ),
    );
    expect(Object.fromEntries(found)).toEqual(groups);
  });

  test('the halves lie at both ends of the space, each as large as TnSZ says', () => {
    const tcr = T(28) | (25n << 16n) | (2n << 30n) | (5n << 32n);
    expect(half('lower', { tcr }).format).toMatchObject({ lowEnd: 2 ** 24, highStart: 2 ** 52, levels: 3 });
    expect(half('upper', { tcr }).format).toMatchObject({ lowEnd: 0, highStart: 2 ** 52 - 2 ** 27 });
    expect(halfOf(0x007f_ffff_ffff_ffffn)).toBe('lower');
    expect(halfOf(0x0080_0000_0000_0000n)).toBe('upper');
  });

  test('a root smaller than a frame begins where TTBR says, its low bits and the ASID passed over', () => {
    // 36 bits: 64 entries, 512 bytes.
    const paging = half('lower', { tcr: T(28) | (5n << 32n), ttbr0: 0x00aa_0000_4000_1a01n });
    expect(paging.root).toEqual({ frame: 0x40001, word: 0xa00 / 4 });
    expect(half('lower', { ttbr0: 0x00aa_0000_4000_1a01n }).root).toEqual({ frame: 0x40001, word: 0 });
  });

  test('granules have other codes in TG1 than in TG0', () => {
    const names = [0, 1, 2].map((tg0) => half('lower', { tcr: T(16, tg0) | (5n << 32n) }).format.fact.name);
    expect(names).toEqual(['aarch64-4k', 'aarch64-64k', 'aarch64-16k']);
    const upper = [2n, 3n, 1n].map(
      (tg1) => half('upper', { tcr: (16n << 16n) | (tg1 << 30n) | (5n << 32n) }).format.fact.name,
    );
    expect(upper).toEqual(['aarch64-4k', 'aarch64-64k', 'aarch64-16k']);
  });
});

describe('descriptors', () => {
  const { format } = half('lower');
  const facts = format.facts;

  test('types: bits 1:0 by level', () => {
    const kind = (depth: number, low: number) =>
      isPresent(facts, depth, low) ? (leadsToTable(facts, depth, low) ? 'table' : 'page') : 'invalid';
    const codes = [0, 1, 2, 3];
    expect(codes.map((low) => kind(0, low))).toEqual(['invalid', 'invalid', 'invalid', 'table']);
    expect(codes.map((low) => kind(1, low))).toEqual(['invalid', 'page', 'invalid', 'table']);
    expect(codes.map((low) => kind(2, low))).toEqual(['invalid', 'page', 'invalid', 'table']);
    expect(codes.map((low) => kind(3, low))).toEqual(['invalid', 'invalid', 'invalid', 'page']);
  });

  // Entries worked by hand from the descriptor's figure.
  test.each([
    ['page, EL1 RW, no execution, AttrIndx 0', 0x0060_0000_4000_1703n, 3, 0x40001, 0, '---', 'rw-'],
    ['block of 2 MiB, EL1 RO and executable, UXN', 0x0040_0000_4020_0781n, 2, 0x40200, 9, '---', 'r-x'],
    ['page of a contiguous group, EL1 RW', 0x0070_0000_4001_0703n, 3, 0x40010, 0, '---', 'rw-'],
    ['page, EL0 and EL1 RW, PXN', 0x0020_0000_4000_1743n, 3, 0x40001, 0, 'rwx', 'rw-'],
    ['page, EL0 RO and executable, PXN', 0x0020_0000_4000_17c3n, 3, 0x40001, 0, 'r-x', 'r--'],
    ['page that EL0 can only execute', 0x0000_0000_4000_1703n, 3, 0x40001, 0, '--x', 'rwx'],
    ['page that EL0 can write: EL1 never executes it', 0x0000_0000_4000_1743n, 3, 0x40001, 0, 'rwx', 'rw-'],
  ] as const)('%s', (_, value, depth, frame, order, el0, el1) => {
    const [low, high] = [lowHalf(value), highHalf(value)];
    expect(isPresent(facts, depth, low) && !leadsToTable(facts, depth, low)).toBe(true);
    expect(pageFrame(facts, depth, low, high)).toBe(frame);
    expect(pageOrder(facts, depth)).toBe(order);
    const rights = half('lower').rights(-1, 0, low, high);
    expect([rightsText(rights, true), rightsText(rights, false)]).toEqual([el0, el1]);
  });

  test('a table with PXNTable, UXNTable and APTable = 10: no writes and no fetches below', () => {
    const table = highHalf(0x5800_0000_4000_2003n);
    const page = 0x0000_0000_4000_1743n;
    const rights = (paging = half('lower')) =>
      paging.rights(-1, orRights(paging.format.facts, 0, 0, table), lowHalf(page), highHalf(page));
    expect([rightsText(rights(), true), rightsText(rights(), false)]).toEqual(['r--', 'r--']);
    // TCR_EL1.HPD0 = 1: none of it counts.
    const off = half('lower', { tcr: BASE.tcr | (1n << 41n) });
    expect([rightsText(rights(off), true), rightsText(rights(off), false)]).toEqual(['rwx', 'rw-']);
  });

  test('DBM with HA and HD: writable, and dirty once AP[2] is clear', () => {
    const tracked = half('lower', { tcr: BASE.tcr | (3n << 39n) });
    const clean = 0x0008_0000_4000_17c3n;
    const dirty = 0x0008_0000_4000_1743n;
    const of = (paging: typeof tracked, value: bigint) => [
      rightsText(paging.rights(-1, 0, lowHalf(value), highHalf(value)), true).includes('w'),
      isDirty(paging.format.facts, 3, lowHalf(value), highHalf(value)),
    ];
    expect(of(tracked, clean)).toEqual([true, false]);
    expect(of(tracked, dirty)).toEqual([true, true]);
    expect(of(tracked, dirty & ~(1n << 51n))).toEqual([true, false]);
    expect(of(half('lower'), clean)).toEqual([false, false]);
    // HD without HA does nothing.
    expect(of(half('lower', { tcr: BASE.tcr | (1n << 40n) }), clean)).toEqual([false, false]);
  });

  test('AF = 0 without HA: nothing is allowed', () => {
    expect(half('lower').rights(-1, 0, 0x4000_1343, 0)).toBe(0);
    expect(half('lower', { tcr: BASE.tcr | (1n << 39n) }).rights(-1, 0, 0x4000_1343, 0)).not.toBe(0);
  });

  test('nG, the contiguous bit, and address fields', () => {
    expect([isGlobal(facts, 3, 0x703), isGlobal(facts, 3, 0xf03)]).toEqual([true, false]);
    expect([1, 2, 3].map((depth) => groupOrder(facts, depth, 1 << 20))).toEqual([22, 13, 4]);
    expect(groupOrder(facts, 3, 0)).toBe(0);
    // 40 bits: those above must be 0.
    const narrow = half('lower', { tcr: (BASE.tcr & ~(7n << 32n)) | (2n << 32n) }).format;
    const page = narrow.fact.levels[3].entries[0];
    expect(
      fieldsOf(page, narrow.state).filter(({ role }) => role === 'address' || role === 'reserved'),
    ).toMatchObject([
      { high: 47, low: 40, role: 'reserved' },
      { high: 39, low: 12, role: 'address' },
    ]);
  });
});

describe('rights', () => {
  /** Section "Stage 1 permissions", read once more as a list of sentences. */
  function allowed(
    d: {
      ap1: boolean;
      ap2: boolean;
      pxn: boolean;
      uxn: boolean;
      pxnT: boolean;
      uxnT: boolean;
      ap0T: boolean;
      ap1T: boolean;
    },
    user: boolean,
    kind: string,
    { wxn, pan, epan }: { wxn: boolean; pan: boolean; epan: boolean },
  ): boolean {
    const el0Reads = d.ap1 && !d.ap0T;
    const writable = !d.ap2 && !d.ap1T;
    const el0Writes = el0Reads && writable;
    const el0Executes = !d.uxn && !d.uxnT;
    if (user) {
      if (kind === 'read') return el0Reads;
      if (kind === 'write') return el0Writes;
      return el0Executes && !(wxn && el0Writes);
    }
    if (kind === 'fetch') return !d.pxn && !d.pxnT && !el0Writes && !(wxn && writable);
    if (pan && (el0Reads || el0Writes)) return false;
    if (pan && epan && el0Executes) return false;
    return kind === 'read' || writable;
  }

  test('every combination of bits, control and access', () => {
    let checked = 0;
    for (let bits = 0; bits < 256; bits += 1) {
      const on = (bit: number) => ((bits >> bit) & 1) !== 0;
      const d = {
        ap1: on(0),
        ap2: on(1),
        pxn: on(2),
        uxn: on(3),
        pxnT: on(4),
        uxnT: on(5),
        ap0T: on(6),
        ap1T: on(7),
      };
      const page = combinedDescriptors(
        (Number(d.ap1) << 6) | (Number(d.ap2) << 7),
        (Number(d.pxn) << 21) | (Number(d.uxn) << 22) | (((bits >> 4) & 15) << 27),
      );
      for (let c = 0; c < 8; c += 1) {
        const control = { wxn: (c & 1) !== 0, epan: (c & 2) !== 0 };
        const pan = (c & 4) !== 0;
        for (const [number, access] of ACCESSES.entries()) {
          const denied = aarch64Denials(page, number, control, pan);
          expect([bits, c, number, denied === 0]).toEqual([
            bits,
            c,
            number,
            allowed(d, access.user, access.kind, { ...control, pan }),
          ]);
          checked += 1;
        }
      }
    }
    expect(checked).toBe(256 * 8 * 6);
  });

  test('each reason has a bit of its own', () => {
    const values: number[] = Object.values(AARCH64_DENIED_BY);
    expect(new Set(values).size).toBe(12);
    expect(values.every((value) => (value & (value - 1)) === 0)).toBe(true);
  });

  test('orPageRights takes UXN, PXN and, where hardware tracks writes, DBM; nothing else', () => {
    expect(orPageRights(half('lower').format.facts, 3, 0, -1)).toBe(0x0060_0000);
    expect(orPageRights(half('lower', { tcr: BASE.tcr | (3n << 39n) }).format.facts, 3, 0, -1)).toBe(
      0x0068_0000,
    );
  });
});

describe('faults', () => {
  // ESR_EL1: EC 0x20/0x21 instruction abort, 0x24/0x25 data abort; IL; WnR bit 6; fault status.
  test.each([
    [0, 0x05, 0x9600_0005],
    [1, 0x0f, 0x9600_004f],
    [2, 0x0b, 0x8600_000b],
    [3, 0x07, 0x9200_0007],
    [4, 0x07, 0x9200_0047],
    [5, 0x04, 0x8200_0004],
    [1, 0x21, 0x9600_0061],
  ])('access %i, status %i: ESR %i', (access, status, esr) => {
    expect(abortSyndrome(access, status)).toBe(esr);
  });

  test('texts', () => {
    expect(statusText(0x0a)).toBe('access flag fault, level 2');
    expect(syndromeBits(0x9200_0047)).toEqual(['DFSC 0x07 translation fault, level 3', 'WnR write']);
    expect(syndromeBits(0x8600_0001)).toEqual(['IFSC 0x01 address size fault, level 1']);
    expect(statusText(0x21)).toBe('alignment fault');
  });

  const walk = (entry: bigint, changes: Partial<Aarch64Control> = {}, address = 0n) => {
    const memory = flatMemory(new ArrayBuffer(0x8000));
    const set = (frame: number, value: bigint) =>
      memory.writeEntry(frame, 0, lowHalf(value), highHalf(value));
    set(1, 0x3003n);
    set(3, 0x4003n);
    set(4, 0x5003n);
    set(5, entry);
    const paging = half('lower', changes);
    const path = new Walker(memory, paging).path(Number(address >> 12n));
    return ACCESSES.map((access) => paging.access(path.end, path.steps, access)).map((it) =>
      it.kind === 'fault' ? it.errorCode : it.kind,
    );
  };

  test('translation, address size, access flag and permission, each with its level', () => {
    expect(walk(0n)[0]).toBe(0x9600_0007);
    expect(walk(0x6701n)[0]).toBe(0x9600_0007);
    expect(walk(0x6743n | (1n << 47n), { physBits: 40 })[0]).toBe(0x9600_0003);
    expect(walk(0x6343n)[3]).toBe(0x9200_000b);
    expect(walk(0x67c3n)).toEqual(['allowed', 0x9600_004f, 'allowed', 'allowed', 0x9200_004f, 'allowed']);
    // Above the half: level 0, whatever the start level.
    expect(walk(0x6743n, {}, 1n << 48n)[5]).toBe(0x8200_0004);
    // E0PD0: EL0 faults at level 0, EL1 does not.
    expect(walk(0x6743n, { tcr: BASE.tcr | (1n << 55n) }).slice(2)).toEqual([
      0x8600_000f, 0x9200_0004, 0x9200_0044, 0x8200_0004,
    ]);
  });

  test('a tag is passed over with TBI, and is out of range without', () => {
    const tagged = 0xab00_0000_0000_0000n;
    expect(walk(0x6743n, {}, tagged & ~(1n << 55n))[0]).toBe(0x9600_0004);
    expect(walk(0x6743n, { tcr: BASE.tcr | (1n << 37n) }, tagged & ~(1n << 55n))[0]).toBe('allowed');
  });
});

describe('translate', () => {
  // A table that maps its page to itself at every level's last entry, and 2-MiB and 1-GiB blocks beside it.
  const memory = flatMemory(new ArrayBuffer(0x8000));
  const set = (frame: number, index: number, value: bigint) =>
    memory.writeEntry(frame, index, lowHalf(value), highHalf(value));
  for (const index of [0, 511]) {
    set(1, index, 0x3003n);
    set(3, index, 0x4003n);
    set(4, index, 0x0800_0000_0000_5003n);
    set(5, index, 0x00f8_0123_4567_8fc3n);
  }
  set(3, 1, 0x4000_0701n);
  set(4, 1, 0x0020_0701n);
  set(5, 1, 0x0000_ffff_ffff_f703n);
  set(5, 2, 0x6701n);

  const TOP = 2 ** 52;
  test.each<[Half, number, number, number | string]>([
    ['lower', 0, 0, 0x123_4567_8],
    ['lower', 0, 2 ** 36 - 1, 0x123_4567_8],
    ['lower', 0, 2 ** 36, 'non-canonical'],
    ['lower', 0, TOP - 1, 'non-canonical'],
    ['lower', 0, 1, 0xf_ffff_ffff],
    ['lower', 0, 2, 'not-present'],
    ['lower', 0, 0x3ff, 0x3ff],
    ['lower', 0, 0x4_1234, 0x4_1234],
    ['upper', 0, TOP - 1, 0x123_4567_8],
    ['upper', 0, TOP - 2 ** 36, 0x123_4567_8],
    ['upper', 0, TOP - 2 ** 36 - 1, 'non-canonical'],
    ['upper', 0, 0, 'non-canonical'],
    ['upper', 38, 0xab * 2 ** 44 + 2 ** 44 - 1, 0x123_4567_8],
  ])('%s half, TBI bit %i, page %i', (which, tbi, page, want) => {
    const tcr = BASE.tcr | (tbi === 0 ? 0n : 1n << BigInt(tbi));
    const walker = new Walker(memory, half(which, { tcr, ttbr0: 0x1000n, ttbr1: 0x1000n }));
    const { end, frame } = walker.path(page);
    expect(frame ?? end).toBe(want);
    const fast = walker.translate(page);
    if (typeof want === 'number') expect(fast).toBe(want);
    else expect(fast).toBeLessThan(0);
  });
});

describe('memory types', () => {
  // MAIR_EL1: attribute encodings.
  test.each([
    [0x00, 'Device-nGnRnE', 'Device-nGnRnE'],
    [0x04, 'Device-nGnRE', 'Device-nGnRE'],
    [0x08, 'Device-nGRE', 'Device-nGRE'],
    [0x0c, 'Device-GRE', 'Device-GRE'],
    [0x0d, 'Device-GRE', 'Device-GRE, XS = 0'],
    [0x44, 'NC', 'Normal, non-cacheable'],
    [0xbb, 'WT', 'Normal, write-through (read- and write-allocate)'],
    [0xff, 'WB', 'Normal, write-back (read- and write-allocate)'],
    [0x77, 'WB', 'Normal, transient write-back (read- and write-allocate)'],
    [0xee, 'WB', 'Normal, write-back (read-allocate)'],
    [0xf4, 'NC/WB', 'Normal, inner non-cacheable, outer write-back (read- and write-allocate)'],
    [0xf0, 'WB-tagged', 'Normal, tagged write-back'],
    [0x40, 'NC', 'Normal, non-cacheable, XS = 0'],
    [0xa0, 'WT', 'Normal, write-through (read-allocate), XS = 0'],
    [0x01, 'Device-nGnRnE', 'Device-nGnRnE, XS = 0'],
    [0x02, 'unpredictable', 'a code that means nothing'],
    [0x0f, 'unpredictable', 'a code that means nothing'],
  ])('%i is %s', (byte, name, text) => {
    expect(mairType(byte)).toMatchObject({ name, text });
  });

  test('AttrIndx chooses the byte; without MAIR the index is shown', () => {
    const names = (paging = half('lower')) => [0, 1, 2, 3].map((i) => paging.memoryType(3, i << 2, 0).name);
    expect(names()).toEqual(['Device-nGnRnE', 'Device-nGnRE', 'NC', 'WB']);
    expect(names(half('lower', { mair: undefined }))).toEqual([
      'AttrIndx 0',
      'AttrIndx 1',
      'AttrIndx 2',
      'AttrIndx 3',
    ]);
  });
});

describe('control', () => {
  test('registers by their names; PSTATE holds PAN, ID_AA64MMFR0_EL1 the physical width', () => {
    const known = knownAarch64Control({ TTBR0_EL1: 1n, PSTATE: 1n << 22n, ID_AA64MMFR0_EL1: 2n });
    expect(known).toMatchObject({ ttbr0: 1n, pan: true, physBits: 40 });
  });

  test('what is not known is assumed and listed; roots are not made up', () => {
    const { control, assumed } = resolveAarch64Control({ ttbr1: 0x1000n });
    expect(assumed.map(({ name }) => name)).toEqual(['tcr', 'sctlr', 'pan', 'mair']);
    expect(aarch64Pagings(control).map(({ format }) => format.fact.upper)).toEqual([true]);
  });

  test('EPD0: the lower half makes no walks', () => {
    expect(aarch64Paging({ ...BASE, tcr: BASE.tcr | (1n << 7n) }, 'lower')).toBeUndefined();
  });

  test.each([
    ['translation off', { sctlr: 0n }, 'PAGING_DISABLED'],
    ['a reserved granule', { tcr: BASE.tcr | (3n << 14n) }, 'BAD_ARGUMENT'],
    ['a half of 52 bits', { tcr: (BASE.tcr & ~63n) | 12n }, 'BAD_ARGUMENT'],
    ['FEAT_LPA2', { tcr: BASE.tcr | (1n << 59n) }, 'BAD_ARGUMENT'],
  ])('%s is refused', (_, changes, code) => {
    expect(() => half('lower', changes)).toThrow(expect.objectContaining({ code }));
  });

  test('sizes out of a granule’s range', () => {
    expect(() => aarch64Format(GRANULES[0], 49, false)).toThrow(/T0SZ = 15; expected 16 to 48/);
  });
});
