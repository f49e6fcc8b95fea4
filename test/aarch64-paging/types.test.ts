// Regimes and their attributes are types: `npm run types` refuses this file if a line marked as an error compiles, or another one does not.
import { describe, expect, test } from 'vitest';
import {
  Attributes,
  Constraints,
  type Descriptor,
  El1And0,
  El1Attributes,
  El2,
  El2And0,
  El3,
  El23Attributes,
  IdMap,
  LinearMap,
  Mapping,
  MemoryRegion,
  type PhysicalAddress,
  RootTable,
  type Seed,
  Stage2,
  Stage2Attributes,
  TargetAllocator,
  VaRange,
  type VirtualAddress,
} from './exports.ts';

/** Takes a value of a type. */
declare function want<T>(value: T): void;

interface Given {
  readonly region: MemoryRegion;
  readonly seed: IdMap;
  readonly el1: IdMap<El1And0>;
  readonly host: LinearMap<El2And0>;
  readonly el2: Mapping<El2>;
  readonly el3: IdMap<El3>;
  readonly stage2: RootTable<Stage2>;
  readonly virtual: VirtualAddress;
  readonly physical: PhysicalAddress;
}

/** Lines that must compile. */
function accepted({ region, seed, el1, host, el2, el3, stage2, virtual, physical }: Given): void {
  seed.mapRange(region, Attributes.NORMAL.or(Attributes.VALID));
  el1.mapRange(region, El1Attributes.VALID);
  // EL2 and EL0 have the attributes of EL1, EL3 those of EL2.
  host.mapRangeWithConstraints(region, El1Attributes.VALID.and(El1Attributes.VALID), Constraints.empty());
  el2.mapRange(region, physical, El23Attributes.XN, Constraints.NO_BLOCK_MAPPINGS);
  el2.mapRange(region, 0n, El23Attributes.XN);
  el3.mapRange(region, El23Attributes.USER_RES1);
  stage2.mapRange(region, 0n, Stage2Attributes.S2AP_ACCESS_RW, Constraints.empty());
  want<void>(seed.activate());
  want<bigint>(el1.activate());
  seed.deactivate();
  el1.deactivate(el1.activate());
  seed.walkRange(region, (each, descriptor, level, full) => {
    want<MemoryRegion>(each);
    want<Attributes | undefined>(descriptor.flags());
    want<number>(level);
    want<MemoryRegion>(full);
  });
  el1.walkRange(region, (_region, descriptor) => want<El1Attributes>(descriptor.flags()));
  seed.modifyRange(region, (_region, descriptor) =>
    descriptor.modifyFlags(Attributes.READ_ONLY, Attributes.empty()),
  );
  el3.modifyRange(region, (_region, entry) => {
    entry.set(physical, entry.flags().or(El23Attributes.VALID));
    entry.modifyFlags(El23Attributes.XN, El23Attributes.empty());
    return entry.level() === 3;
  });
  want<IdMap<Seed>>(new IdMap(1, 1));
  want<IdMap<El2>>(new IdMap(1, El2));
  want<Descriptor<El2> | undefined>(el2.translate(virtual)?.descriptor);
}

/** Lines that must not compile. */
function refused({ region, seed, el1, el2, stage2, virtual, physical }: Given): void {
  // @ts-expect-error attributes of EL1 in the shape of 0.5
  seed.mapRange(region, El1Attributes.VALID);
  // @ts-expect-error attributes of the shape of 0.5 for EL1
  el1.mapRange(region, Attributes.VALID);
  // @ts-expect-error attributes of EL2 for EL1
  el1.mapRange(region, El23Attributes.VALID);
  // @ts-expect-error attributes of EL1 for EL2
  el2.mapRange(region, 0n, El1Attributes.VALID);
  // @ts-expect-error attributes of stage 1 for stage 2
  stage2.mapRange(region, 0n, El23Attributes.VALID);
  // @ts-expect-error constraints for attributes
  stage2.mapRange(region, 0n, Constraints.empty());
  // @ts-expect-error attributes for constraints
  stage2.mapRange(region, 0n, Stage2Attributes.VALID, Stage2Attributes.VALID);
  // @ts-expect-error two types of attributes
  El1Attributes.VALID.or(El23Attributes.VALID);
  // @ts-expect-error a name that the type does not have
  El23Attributes.UXN;
  // @ts-expect-error a virtual address for a physical one
  stage2.mapRange(region, virtual, Stage2Attributes.VALID);
  // @ts-expect-error a physical address for a virtual one
  el1.translate(physical);
  // @ts-expect-error a number for an address
  new MemoryRegion(0, 4096);
  // @ts-expect-error an identity map takes no physical address
  seed.mapRange(region, 0n, Attributes.VALID);
  // @ts-expect-error a regime that has ASIDs, without one
  new IdMap(1, El1And0);
  // @ts-expect-error a regime that has no ASIDs, with one
  IdMap.withAsid(1, 1, El2);
  // @ts-expect-error a regime that has two ranges, without one
  new RootTable(new TargetAllocator(0n), 1, El2And0);
  // @ts-expect-error a range that there is not
  new RootTable(new TargetAllocator(0n), 1, 'Middle');
  // @ts-expect-error an offset that is no bigint
  new LinearMap(1, 1, 4096, VaRange.Lower);
  // @ts-expect-error what the register held is kept in the shape of 0.5
  seed.deactivate(1n);
  // @ts-expect-error a descriptor that is walked is not changed
  seed.walkRange(region, (_region, descriptor) => descriptor.modifyFlags(Attributes.VALID, Attributes.VALID));
  // @ts-expect-error the shape of 0.5 sets no addresses
  seed.modifyRange(region, (_region, descriptor) => descriptor.set(0n, Attributes.VALID));
  // @ts-expect-error attributes of EL1 in a descriptor of EL2
  el2.modifyRange(region, (_region, entry) => entry.set(0n, El1Attributes.VALID));
  // @ts-expect-error one map is not another
  want<IdMap<El3>>(new IdMap(1, Stage2));
  // @ts-expect-error nor that of a regime one in the shape of 0.5
  want<IdMap>(el1);
}

test('the lines above are there', () => {
  expect([accepted.length, refused.length]).toEqual([1, 1]);
});

describe('at run time', () => {
  const wrong = (expected: string) =>
    expect.objectContaining({
      code: 'BAD_ARGUMENT',
      message: expect.stringContaining(`expected ${expected}`),
    });
  const region = new MemoryRegion(0n, 4096n);
  const el1 = IdMap.withAsid(1, 1, El1And0);
  const el2 = new Mapping(new TargetAllocator(0n), 1, El2);

  test('attributes of another regime are refused', () => {
    expect(() => el1.mapRange(region, El23Attributes.VALID as never)).toThrow(wrong('El1Attributes'));
    expect(() => new IdMap(1, 1).mapRange(region, El1Attributes.VALID as never)).toThrow(wrong('Attributes'));
    expect(() => el2.mapRange(region, 0n, Stage2Attributes.VALID as never)).toThrow(wrong('El23Attributes'));
    for (const flags of [undefined, null, 1n, 5, {}]) {
      expect(() => el1.mapRange(region, flags as never)).toThrow(wrong('El1Attributes'));
    }
    el1.modifyRange(region, (_region, entry) => {
      expect(() => entry.set(0n, El23Attributes.VALID as never)).toThrow(wrong('El1Attributes'));
      expect(() => entry.modifyFlags(entry.flags(), Attributes.VALID as never)).toThrow(
        wrong('El1Attributes'),
      );
      expect(() => entry.modifyFlags(undefined as never, entry.flags())).toThrow(wrong('El1Attributes'));
      expect(() => entry.set(0 as never, entry.flags())).toThrow(wrong('a bigint or an address'));
    });
    new IdMap(1, 1).modifyRange(region, (_region, descriptor) => {
      expect(() => descriptor.modifyFlags(El1Attributes.VALID as never, Attributes.VALID)).toThrow(
        wrong('Attributes'),
      );
    });
    expect(el1.statistics().tables).toEqual([0, 1, 1, 1]);
  });

  test('and so is what is no region, no address, no constraint, no function', () => {
    for (const other of [undefined, null, 0n, { firstPage: 0, endPage: 1 }]) {
      expect(() => el1.mapRange(other as never, El1Attributes.VALID)).toThrow(wrong('a MemoryRegion'));
      expect(() => el1.walkRange(other as never, () => undefined)).toThrow(wrong('a MemoryRegion'));
      expect(() => el1.modifyRange(other as never, () => undefined)).toThrow(wrong('a MemoryRegion'));
      expect(() => new LinearMap(1, 0n, El2).mapRange(other as never, El23Attributes.VALID)).toThrow(
        wrong('a MemoryRegion'),
      );
    }
    expect(() => el2.mapRange(region, 0 as never, El23Attributes.VALID)).toThrow(wrong('a bigint'));
    expect(() => el2.mapRange(region, 0n, El23Attributes.VALID, 1 as never)).toThrow(wrong('Constraints'));
    expect(() => el2.mapRange(region, 1n << 64n, El23Attributes.VALID)).toThrow(
      expect.objectContaining({ code: 'OUT_OF_RANGE' }),
    );
    for (const f of [undefined, null, {}]) {
      expect(() => el1.walkRange(region, f as never)).toThrow(wrong('a function'));
      expect(() => el1.modifyRange(region, f as never)).toThrow(wrong('a function'));
    }
    expect(() => el1.translate(0 as never)).toThrow(wrong('a bigint'));
    expect(() => new LinearMap(1, 1, undefined as never, VaRange.Lower)).toThrow(wrong('a bigint'));
    expect(() => new TargetAllocator(0x1000 as never)).toThrow(wrong('a bigint'));
    for (const translation of [undefined, {}, { memory: new TargetAllocator(0n).memory }]) {
      expect(() => new Mapping(translation as never, 1, El3)).toThrow(wrong('a Translation'));
    }
  });
});
