// Examples F of the notes (see README.md): what callbacks of `walkRange` and `modifyRange` see, and what comes of them.
import { describe, expect, test } from 'vitest';
import {
  Attributes,
  behaviourWith,
  type Descriptor,
  type DescriptorMut,
  El1And0,
  El2,
  IdMap,
  MapError,
  MemoryRegion,
  MODERN,
  Stage2,
  type UpdatableDescriptor,
  UpdateError,
} from './exports.ts';
import {
  AF,
  Driver,
  EXACT,
  errorOf,
  F,
  G,
  KINDS,
  type Kind,
  M,
  N,
  NG,
  P,
  RO,
  type Seen,
  SW0,
  V,
} from './machine.ts';

/** A map of that shape, with ranges mapped. */
function mapped(
  kind: Kind,
  ...ranges: readonly (readonly [from: bigint, to: bigint, flags: bigint])[]
): Driver {
  const driver = new Driver(kind);
  for (const [from, to, flags] of ranges) driver.mapRange({ from, to, flags });
  return driver;
}

function live(
  kind: Kind,
  ...ranges: readonly (readonly [from: bigint, to: bigint, flags: bigint])[]
): Driver {
  const driver = mapped(kind, ...ranges);
  driver.map.activate();
  return driver;
}

const block = [M, 2n * M, F] as const;

describe('walkRange', () => {
  test('F1: a part of a block, once', () => {
    for (const kind of KINDS) {
      expect(mapped(kind, block).walk(M + P, M + 3n * P)).toEqual([[0x20_1000n, 0x20_3000n, 0x20_0705n, 2]]);
    }
  });

  test('F2: empty entries too; 0.5.0 has junk in them', () => {
    for (const kind of KINDS) {
      const old = kind === '0.5.0';
      expect(mapped(kind, block).walk(0n, 3n * M)).toEqual([
        [0n, M, old ? 0x400n : 0n, 2],
        [M, 2n * M, 0x20_0705n, 2],
        [2n * M, 3n * M, old ? 0x40_0400n : 0n, 2],
      ]);
    }
  });

  test('F3: an empty map', () => {
    for (const kind of KINDS) {
      const driver = new Driver(kind);
      const seen = driver.walk(0n, 1n << 39n);
      expect(seen).toEqual(
        Array.from({ length: 512 }, (_, i): Seen => [BigInt(i) * G, BigInt(i + 1) * G, 0n, 1]),
      );
      expect(driver.walk(5n, 6n)).toEqual([[0n, P, 0n, 1]]);
      expect(driver.walk(P, P)).toEqual([]);
    }
  });

  test('F4: pages', () => {
    for (const kind of KINDS) {
      const old = kind === '0.5.0';
      expect(mapped(kind, [0n, P, F]).walk(0n, 3n * P)).toEqual([
        [0n, P, 0x707n, 3],
        [P, 2n * P, old ? 0x1402n : 0n, 3],
        [2n * P, 3n * P, old ? 0x2402n : 0n, 3],
      ]);
    }
  });

  test('all that an entry maps is the fourth argument', () => {
    const { map } = mapped('MODERN', block);
    const seen: string[] = [];
    map.walkRange(new MemoryRegion(M - P, M + P), (region, _descriptor, _level, full) => {
      seen.push(`${region} of ${full}`);
    });
    expect(seen).toEqual([
      '0x00000000001ff000..0x0000000000200000 of 0x0000000000000000..0x0000000000200000',
      '0x0000000000200000..0x0000000000201000 of 0x0000000000200000..0x0000000000400000',
    ]);
  });

  test('page numbers and halves, without a bigint', () => {
    const { map } = mapped('MODERN', [3n * P, 4n * P, F | (1n << 55n)]);
    map.walkRange(MemoryRegion.ofPages(3, 4), (region, descriptor, _level, full) => {
      expect([region.firstPage, region.endPage, full.firstPage, full.endPage]).toEqual([3, 4, 3, 4]);
      expect([descriptor.low, descriptor.high, descriptor.frame]).toEqual([0x3707, 0x80_0000, 3]);
    });
  });

  test.each<[string, () => unknown]>([
    ['returns false', () => false],
    [
      'throws an UpdateError',
      () => {
        throw new UpdateError('no');
      },
    ],
  ])('a callback that %s fails the walk', (_name, fail) => {
    for (const kind of KINDS) {
      const { map } = mapped(kind, [0n, 2n * P, F]);
      let calls = 0;
      const walk = () =>
        map.walkRange(new MemoryRegion(0n, 3n * P), () => {
          calls += 1;
          return calls < 2 || fail();
        });
      expect(errorOf(walk)).toBe('PteUpdateFault(0x1707)');
      expect(calls).toBe(2);
    }
  });

  test('errors of the range come first', () => {
    for (const kind of KINDS) {
      const driver = live(kind, block);
      expect(errorOf(() => driver.walk(0x3000n, 0x1000n))).toBe('RegionBackwards(0x3000..0x1000)');
      expect(errorOf(() => driver.walk(0n, (1n << 39n) + 1n))).toBe('AddressRange(0x8000001000)');
    }
  });
});

describe('modifyRange', () => {
  test('F5: splits a block that reaches out of the range', () => {
    for (const kind of KINDS) {
      const driver = mapped(kind, block);
      const { seen, failed } = driver.modify(M + P, M + 3n * P, RO, 0n);
      expect(failed).toBe('Ok');
      expect(seen).toEqual([
        [0x20_1000n, 0x20_2000n, 0x20_1707n, 3],
        [0x20_2000n, 0x20_3000n, 0x20_2707n, 3],
      ]);
      expect([0, 1, 2, 3].map((i) => driver.word(2, i))).toEqual([
        0x20_0707n,
        0x20_1787n,
        0x20_2787n,
        0x20_3707n,
      ]);
    }
  });

  test('F6, F7: a part of a live block; 0.12.1 lets a callback that changes nothing split it', () => {
    const range = [M + P, M + 3n * P] as const;
    const violation = 'BBM(0x201000..0x203000)';
    const copy: Seen = [0x20_1000n, 0x20_3000n, 0x20_0705n, 2];
    for (const kind of KINDS) {
      const changing = live(kind, block).modify(...range, RO, 0n);
      const doingNothing = live(kind, block).modify(...range, 0n, 0n);
      expect(changing.failed).toBe(violation);
      expect(changing.seen).toEqual(kind === '0.12.1' ? [copy] : []);
      expect(doingNothing.failed).toBe(kind === '0.12.1' ? 'Ok' : violation);
      expect(doingNothing.seen).toEqual(
        kind === '0.12.1'
          ? [copy, [0x20_1000n, 0x20_2000n, 0x20_1707n, 3], [0x20_2000n, 0x20_3000n, 0x20_2707n, 3]]
          : [],
      );
    }
  });

  test('F8: a live block is seen twice', () => {
    for (const kind of KINDS) {
      const driver = live(kind, block);
      const { seen } = driver.modify(M, 2n * M, RO, 0n);
      expect(seen).toEqual([
        [M, 2n * M, 0x20_0705n, 2],
        [M, 2n * M, 0x20_0705n, 2],
      ]);
      expect(driver.word(1, 1)).toBe(0x20_0785n);
    }
  });

  test('F9: an empty entry is split too', () => {
    for (const kind of KINDS) {
      const driver = new Driver(kind);
      const { seen } = driver.modify(P, 2n * P, 0n, 0n);
      expect(seen).toEqual([[P, 2n * P, kind === '0.5.0' ? 0x1402n : 0n, 3]]);
      expect([driver.word(0, 0), driver.word(1, 0)]).toEqual([0x1_1003n, 0x1_2003n]);
      const active = live(kind).modify(P, 2n * P, 0n, 0n);
      expect(active.seen.map(([, , , level]) => level)).toEqual(kind === '0.5.0' ? [3] : [1, 3]);
    }
  });

  test('F10, F11: not-global cleared', () => {
    for (const kind of KINDS) {
      const driver = live(kind, [0n, 2n * P, F | NG | RO]);
      const before = driver.tables.asBytes();
      expect(driver.modify(1n, P, SW0, NG).failed).toBe('BBM(0x0..0x1000)');
      expect(driver.tables.asBytes()).toEqual(before);
      expect(driver.modify(1n, P, SW0, 0n).failed).toBe('Ok');
      expect([driver.word(2, 0), driver.word(2, 1)]).toEqual([0x80_0000_0000_0f87n, 0x1f87n]);
      const idle = mapped(kind, [0n, 2n * P, F | NG | RO]);
      expect(idle.modify(1n, P, SW0, NG).failed).toBe('Ok');
      expect(idle.word(2, 0)).toBe(0x80_0000_0000_0787n);
    }
  });

  test('F12: the callback fails at the second page', () => {
    for (const kind of KINDS) {
      const idle = mapped(kind, [0n, 2n * P, F | NG | RO]).modify(0n, 2n * P, 0n, 0n, 1);
      expect(idle.failed).toBe('PteUpdateFault(0x1f87)');
      const active = live(kind, [0n, 2n * P, F | NG | RO]).modify(0n, 2n * P, 0n, 0n, 1);
      expect(active.failed).toBe(kind === '0.5.0' ? 'BBM(0x0..0x2000)' : 'BBM(0x1000..0x2000)');
    }
  });

  test('F13: of pages that are not valid, 0.5.0 sees no copies', () => {
    for (const kind of EXACT) {
      const { failed } = live(kind, [0n, 2n * P, SW0]).modify(0n, 2n * P, 0n, 0n, 0);
      expect(failed).toBe(kind === '0.5.0' ? 'PteUpdateFault(0x80000000000402)' : 'BBM(0x0..0x1000)');
    }
  });

  test('F14: bit 1 stays: 0.5 panics, 0.12 fails the callback', () => {
    for (const kind of KINDS) {
      const pages = mapped(kind, [0n, P, F]);
      const before = pages.tables.asBytes();
      const old = kind === '0.5.0' || kind === 'SEED';
      expect(pages.modify(0n, P, 0n, 2n).failed).toBe(old ? 'panic BAD_ARGUMENT' : 'PteUpdateFault(0x707)');
      expect(pages.tables.asBytes()).toEqual(before);
      expect(mapped(kind, block).modify(M, 2n * M, 2n, 0n).failed).toBe(
        old ? 'panic BAD_ARGUMENT' : 'PteUpdateFault(0x200705)',
      );
    }
  });

  test('F15: a backwards range while active', () => {
    for (const kind of KINDS) {
      const { failed } = live(kind).modify(2n * P, 1n, 0n, 0n);
      expect(failed).toBe(kind === '0.5.0' ? 'BBM(0x2000..0x1000)' : 'RegionBackwards(0x2000..0x1000)');
    }
  });

  test('F16: made valid later, which the shape of 0.5 is for', () => {
    for (const kind of KINDS) {
      const driver = live(kind, [0n, P, N]);
      expect(driver.modify(0n, P, V | AF, 0n).failed).toBe('Ok');
      expect(driver.word(2, 0)).toBe(kind === '0.5.0' || kind === 'SEED' ? 0x707n : 0x705n);
    }
  });

  test('F17: cleared, and compacted away', () => {
    for (const kind of ['0.12.1', 'MODERN'] as const) {
      const driver = live(kind, [P, 3n * P, F]);
      driver.modern?.modifyRange(new MemoryRegion(P, 3n * P), (_region, entry) =>
        entry.set(0n, El1And0.attributes.empty()),
      );
      driver.map.compactSubtables();
      driver.expectTables('');
    }
  });

  test('F18: another address', () => {
    for (const kind of ['0.12.1', 'MODERN'] as const) {
      for (const pa of [0x9abcn, 0x1abcn]) {
        const set = ({ modern }: Driver) => {
          modern?.modifyRange(new MemoryRegion(P, 2n * P), (_region, entry) =>
            entry.set(pa, El1And0.attributes.fromBitsRetain(F | 2n)),
          );
        };
        const idle = mapped(kind, [P, 3n * P, F]);
        set(idle);
        expect(idle.word(2, 1)).toBe((pa & ~0xfffn) | 0x707n);
        expect(errorOf(() => set(live(kind, [P, 3n * P, F])))).toBe('BBM(0x1000..0x2000)');
      }
    }
  });

  test('what was changed before a failure stays, and in the shape of 0.5 what the failing callback changed', () => {
    for (const kind of KINDS) {
      const driver = mapped(kind, [0n, 3n * P, F]);
      let calls = 0;
      const failed = errorOf(
        () =>
          driver.seed?.modifyRange(new MemoryRegion(0n, 3n * P), (_region, descriptor) => {
            descriptor.modifyFlags(Attributes.READ_ONLY, Attributes.empty());
            calls += 1;
            return calls < 2;
          }) ??
          driver.modern?.modifyRange(new MemoryRegion(0n, 3n * P), (_region, descriptor) => {
            descriptor.modifyFlags(driver.flags(RO), driver.flags(0n));
            calls += 1;
            return calls < 2;
          }),
      );
      // 0.12 tells what the entry was before the call.
      expect(failed).toBe(driver.seed === undefined ? 'PteUpdateFault(0x1707)' : 'PteUpdateFault(0x1787)');
      expect([0, 1, 2].map((i) => driver.word(2, i))).toEqual([0x787n, 0x1787n, 0x2707n]);
    }
  });
});

describe('flags without a name (notes, 5.5 and 9.4)', () => {
  test('0.12 loses them in modifyFlags, 0.5 keeps them', () => {
    const bit49 = 1n << 49n;
    const seed = mapped('0.5.0', [0n, P, F | bit49]);
    seed.modify(0n, P, 0n, 0x80n);
    seed.modify(0n, P, RO, 0n);
    expect(seed.word(2, 0)).toBe(bit49 | 0x787n);
    for (const kind of ['0.12.1', 'MODERN'] as const) {
      const modern = new Driver(kind);
      modern.mapRange({ from: 0n, to: P, pa: 0x7f_8000_3000n, flags: 0xa_0000_0000_0785n });
      expect(modern.word(2, 0)).toBe(0xa_007f_8000_3787n);
      modern.modify(0n, P, 0n, RO);
      expect(modern.word(2, 0)).toBe(0x8_007f_8000_3707n);
    }
  });

  test('nor can modifyFlags set them', () => {
    const unnamed: [El2 | Stage2, bigint][] = [
      [El2, 1n << 53n],
      [Stage2, 1n << 51n],
    ];
    for (const [regime, bits] of unnamed) {
      const map = new IdMap(1, regime as El2);
      map.modifyRange(new MemoryRegion(0n, G), (_region, entry) => {
        entry.modifyFlags(map.regime.attributes.fromBitsRetain(bits | V), map.regime.attributes.empty());
        expect(entry.bits()).toBe(V);
      });
    }
  });

  test('NT lies in the address (16.6)', () => {
    const driver = mapped('0.12.1', [0n, P, N | V | (1n << 16n)]);
    expect(driver.word(2, 0)).toBe(0x1_0307n);
    driver.map.walkRange(new MemoryRegion(0n, P), (_region, descriptor) => {
      expect(descriptor.outputAddress().value).toBe(0x1_0000n);
    });
    driver.modify(0n, P, 1n << 16n, 0n);
    expect(driver.word(2, 0)).toBe(0x1_0307n);
  });
});

describe('what Rust would not compile', () => {
  test('a region and a descriptor are good until their callback returns', () => {
    for (const kind of KINDS) {
      const { map, seed, modern } = mapped(kind, [0n, 2n * P, F]);
      const kept: (MemoryRegion | Descriptor | UpdatableDescriptor | DescriptorMut)[] = [];
      const copies: unknown[] = [];
      map.walkRange(new MemoryRegion(0n, P), (region, descriptor, _level, full) => {
        kept.push(region, descriptor as Descriptor, full);
        copies.push(region.clone(), descriptor.clone());
      });
      seed?.modifyRange(
        new MemoryRegion(0n, P),
        (_region, descriptor) => void kept.push(descriptor as Descriptor),
      );
      modern?.modifyRange(
        new MemoryRegion(0n, P),
        (_region, descriptor) => void kept.push(descriptor as Descriptor),
      );
      for (const each of kept)
        expect(() => String(each)).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
      const late = kept.at(-1) as DescriptorMut;
      expect(() => late.modifyFlags(Attributes.empty(), Attributes.empty())).toThrow(
        expect.objectContaining({ code: 'BAD_ARGUMENT' }),
      );
      expect(copies.map(String)[0]).toBe('0x0000000000000000..0x0000000000001000');
      expect((copies[1] as Descriptor).bits()).toBe(0x707n);
    }
  });

  test('a map cannot be changed, freed or activated from inside its own callbacks; it can be walked', () => {
    const map = new IdMap(1, 1);
    const region = new MemoryRegion(0n, P);
    map.mapRange(region, Attributes.NORMAL.or(Attributes.VALID));
    const inside: (() => unknown)[] = [
      () => map.mapRange(region, Attributes.empty()),
      () => map.modifyRange(region, () => undefined),
      () => map.compactSubtables(),
      () => map.free(),
      () => map.activate(),
    ];
    const reentered = expect.objectContaining({ code: 'REENTERED' });
    for (const call of inside) {
      map.walkRange(region, () => void expect(call).toThrow(reentered));
      map.modifyRange(region, () => void expect(call).toThrow(reentered));
    }
    const seen: bigint[] = [];
    map.walkRange(region, (outer, descriptor) => {
      map.walkRange(new MemoryRegion(P, 2n * P), (inner) => void seen.push(inner.start().value));
      expect(map.translate(0n)?.address.value).toBe(0n);
      seen.push(outer.start().value, descriptor.bits());
    });
    expect(seen).toEqual([P, 0n, 0x707n]);
    map.modifyRange(region, () => {
      expect(() => map.walkRange(region, () => undefined)).toThrow(reentered);
      expect(() => String(map)).toThrow(reentered);
    });
    // Afterwards all is as before.
    map.mapRange(region, Attributes.empty());
  });

  test('an exception of the callback’s own passes through, and the map works on', () => {
    for (const kind of KINDS) {
      const driver = live(kind, [0n, P, F]);
      const thrown = new RangeError('mine');
      const fail = () => {
        throw thrown;
      };
      for (const call of [
        () => driver.map.walkRange(new MemoryRegion(0n, P), fail),
        () => driver.map.modifyRange(new MemoryRegion(0n, P), fail),
      ]) {
        expect(call).toThrow(thrown);
      }
      expect(driver.walk(0n, P)).toHaveLength(1);
    }
  });
});

describe('UpdatableDescriptor', () => {
  test('tells what it is and whether it was changed', () => {
    const driver = mapped('MODERN', block, [0n, P, F]);
    const seen: unknown[] = [];
    driver.modern?.modifyRange(new MemoryRegion(0n, 2n * M), (_region, entry) => {
      if (!entry.isValid()) return;
      const before = entry.updated();
      entry.modifyFlags(driver.flags(RO), driver.flags(0n));
      const after = entry.updated();
      entry.modifyFlags(driver.flags(0n), driver.flags(RO));
      seen.push([
        entry.level(),
        entry.isTable(),
        entry.bits(),
        entry.outputAddress().value,
        before,
        after,
        entry.updated(),
      ]);
    });
    expect(seen).toEqual([
      [3, false, 0x707n, 0n, false, true, true],
      [2, false, 0x20_0705n, M, false, true, true],
    ]);
  });

  test('refuses by an UpdateError that says what; caught, it is for the callback to go on', () => {
    const driver = live('MODERN', [0n, P, F]);
    const refusals: unknown[] = [];
    driver.modern?.modifyRange(new MemoryRegion(0n, P), (_region, entry) => {
      try {
        entry.set(P, El1And0.attributes.fromBitsRetain(F | 2n));
      } catch (error) {
        refusals.push(error);
      }
    });
    expect(refusals).toEqual([
      expect.objectContaining({
        name: 'UpdateError',
        code: 'UPDATE_FAILED',
        detail: { before: 0x707n, after: 0x1707n },
      }),
      expect.objectContaining({ name: 'UpdateError' }),
    ]);
    expect(driver.word(2, 0)).toBe(0x707n);
  });

  test('the refusal is the cause of the violation', () => {
    const driver = live('MODERN', [0n, P, F]);
    try {
      driver.modern?.modifyRange(new MemoryRegion(0n, P), (_region, entry) =>
        entry.set(0n, El1And0.attributes.fromBitsRetain(N | V | 2n | 0x40n)),
      );
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(MapError);
      expect((error as MapError).violation).toMatchObject({
        rule: 'attributes',
        before: 0x707n,
        after: 0x347n,
      });
      expect((error as MapError).cause).toBeInstanceOf(UpdateError);
    }
  });

  test('a failure of the callback is a violation while active', () => {
    const driver = live('MODERN', [0n, P, F]);
    try {
      driver.map.modifyRange(new MemoryRegion(0n, P), () => false);
      expect.unreachable();
    } catch (error) {
      expect((error as MapError).violation?.rule).toBe('callback');
    }
  });

  test('of another behaviour, it does as that says', () => {
    const options = { behaviour: behaviourWith(MODERN, { 'leaves-stay-leaves': false }) };
    const other = IdMap.withAsid(1, 1, El1And0, options);
    other.modifyRange(new MemoryRegion(0n, G), (_region, entry) =>
      entry.set(5n * P, El1And0.attributes.fromBitsRetain(3n)),
    );
    const table = other.memory.readEntry(other.tables.root, 0);
    expect(table).toBe(0x5003);
  });
});
