// What a processor is told (notes, sections 10.4 to 10.6), and when a map is active.
import { describe, expect, test } from 'vitest';
import {
  Attributes,
  BEHAVIOURS,
  behaviourWith,
  Constraints,
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
  Stage2,
  Stage2Attributes,
  TargetAllocator,
  VaRange,
} from './exports.ts';
import { G, M, P } from './machine.ts';
import { Recorder } from './recorder.ts';

const wrong = (text: string) =>
  expect.objectContaining({ code: 'BAD_ARGUMENT', message: expect.stringContaining(text) });
const V5 = BEHAVIOURS['0.5.0'];
const V12 = BEHAVIOURS['0.12.1'];
const { VALID, NORMAL, READ_ONLY, NON_GLOBAL } = Attributes;
const page = new MemoryRegion(0n, P);
const tables = () => ({ translation: new TargetAllocator(0x1_0000n), processor: new Recorder() });

describe('in the shape of 0.5', () => {
  test('the page’s example, without a processor and with one', () => {
    for (const options of [undefined, tables()]) {
      const idmap = new IdMap(1, 1, options);
      const region = new MemoryRegion(0x8020_0000n, 0x8040_0000n);
      idmap.mapRange(region, NORMAL.or(NON_GLOBAL).or(VALID));
      expect(idmap.activate()).toBeUndefined();
      expect(idmap.active()).toBe(true);
      idmap.deactivate();
      expect(idmap.active()).toBe(false);
      idmap.mapRange(region, NORMAL.or(NON_GLOBAL).or(READ_ONLY).or(VALID));
      idmap.activate();
      expect(idmap.translate(0x8020_0000n)?.descriptor.bits()).toBe(0x8020_0f85n);
      expect(options?.processor.take() ?? []).toEqual(
        options === undefined
          ? []
          : [
              'DSB ISHST',
              'ISB',
              'MRS TTBR0_EL1',
              'MSR TTBR0_EL1 0x1000000010000',
              'ISB',
              'MRS TTBR0_EL1',
              'MSR TTBR0_EL1 0x77',
              'ISB',
              'TLBI ASIDE1 0x1000000000000',
              'DSB NSH',
              'ISB',
              'DSB ISHST',
              'ISB',
              'MRS TTBR0_EL1',
              'MSR TTBR0_EL1 0x1000000010000',
              'ISB',
            ],
      );
    }
  });

  test('0.5.0 itself waits for its writes, and for nothing else', () => {
    const options = { ...tables(), behaviour: V5 };
    const map = new IdMap(1, 1, options);
    map.mapRange(page, VALID);
    map.activate();
    expect(options.processor.take()).toEqual([
      'DSB ISHST',
      'MRS TTBR0_EL1',
      'MSR TTBR0_EL1 0x1000000010000',
      'ISB',
    ]);
    map.mapRange(page, VALID.or(READ_ONLY));
    map.modifyRange(page, () => undefined);
    expect(options.processor.take()).toEqual(['DSB ISHST', 'DSB ISHST']);
  });

  test('the upper range has the other register', () => {
    const options = tables();
    const map = new LinearMap(5, 1, 1n << 39n, VaRange.Upper, options);
    map.activate();
    expect(options.processor.take().slice(2)).toEqual([
      'MRS TTBR1_EL1',
      'MSR TTBR1_EL1 0x5000000010000',
      'ISB',
    ]);
  });

  test('activating twice, and deactivating what is not active', () => {
    const map = new IdMap(1, 1);
    expect(() => map.deactivate()).toThrow(wrong('not active'));
    map.activate();
    expect(() => map.activate()).toThrow(wrong('active already'));
    expect(() => map.markActive()).toThrow(wrong('active already'));
    map.deactivate();
    expect(() => map.deactivate()).toThrow(wrong('not active'));
    map.markActive();
    expect(map.active()).toBe(true);
    map.markInactive();
    expect(() => map.markInactive()).toThrow(wrong('underflow'));
    map.activate();
  });

  test('a register that cannot be written leaves it inactive', () => {
    const options = tables();
    options.processor.writeSystemRegister = () => {
      throw new Error('no such register');
    };
    const map = new IdMap(1, 1, options);
    expect(() => map.activate()).toThrow('no such register');
    expect(map.active()).toBe(false);
  });

  test('freeing it deactivates it', () => {
    const options = tables();
    {
      using map = new IdMap(1, 1, options);
      map.activate();
      options.processor.take();
    }
    expect(options.processor.take()).toEqual([
      'MRS TTBR0_EL1',
      'MSR TTBR0_EL1 0x77',
      'ISB',
      'TLBI ASIDE1 0x1000000000000',
      'DSB NSH',
      'ISB',
    ]);
    expect(options.translation.asBytes()).toEqual(new Uint8Array(4096));
  });
});

describe('of a regime', () => {
  test('EL1 and EL0: counted, and the caller keeps what the register held', () => {
    const options = { ...tables(), behaviour: V12 };
    const map = IdMap.withAsid(7, 1, El1And0, options);
    expect(map.activate()).toBe(0x77n);
    expect(options.processor.take()).toEqual([
      'DMB ISHST',
      'ISB',
      'MRS TTBR0_EL1',
      'MSR TTBR0_EL1 0x7000000010000',
      'ISB',
    ]);
    expect(map.activate()).toBe(0x7_0000_0001_0000n);
    map.deactivate(0x7_0000_0001_0000n);
    expect(map.active()).toBe(true);
    options.processor.take();
    map.deactivate(0x77n);
    expect(map.active()).toBe(false);
    expect(options.processor.take()).toEqual([
      'MRS TTBR0_EL1',
      'MSR TTBR0_EL1 0x77',
      'ISB',
      'TLBI ASIDE1 0x7000000000000',
      'DSB NSH',
      'ISB',
    ]);
    expect(map.asid()).toBe(7);
  });

  test('without a processor it is only counted', () => {
    const map = new IdMap(1, El2);
    expect(map.activate()).toBe((1n << 64n) - 1n);
    map.markActive();
    map.deactivate();
    map.markInactive();
    expect(() => map.deactivate(0n)).toThrow(wrong('not active'));
    expect(() => map.markInactive()).toThrow(wrong('underflow'));
    // Not stuck, as the original is after that.
    expect(map.active()).toBe(false);
    expect(map.asid()).toBeUndefined();
  });

  test('other registers, and what has none to go back to', () => {
    const at2 = tables();
    Mapping.withAsidAndVaRange(at2.translation, 1, 1, El2And0, VaRange.Upper, at2).activate();
    expect(at2.processor.take().slice(2)).toEqual(['MRS TTBR1_EL2', 'MSR TTBR1_EL2 0x1000000010000', 'ISB']);
    for (const [regime, name] of [
      [El2, 'TTBR0_EL2'],
      [El3, 'TTBR0_EL3'],
    ] as const) {
      const options = tables();
      const map = new IdMap(1, regime as El2, options);
      const previous = map.activate();
      expect(options.processor.take().slice(2)).toEqual([`MRS ${name}`, `MSR ${name} 0x10000`, 'ISB']);
      expect(() => map.deactivate(previous)).toThrow(wrong("can't safely be deactivated"));
      expect(map.active()).toBe(true);
    }
  });

  test('stage 2', () => {
    const options = tables();
    const map = new IdMap(1, Stage2, options);
    const previous = map.activate();
    expect(options.processor.take().slice(2)).toEqual(['MRS VTTBR_EL2', 'MSR VTTBR_EL2 0x10000', 'ISB']);
    expect(() => map.deactivate()).toThrow(wrong('what activate returned was not given'));
    map.deactivate(previous);
    expect(options.processor.take()).toEqual([
      'TLBI VMALLS12E1',
      'DSB NSH',
      'ISB',
      'MRS VTTBR_EL2',
      'MSR VTTBR_EL2 0x77',
      'ISB',
    ]);
  });

  test('freeing it while active is refused', () => {
    const map = new IdMap(1, El3);
    map.activate();
    expect(() => map.free()).toThrow(wrong('active; dropping'));
    expect(() => map[Symbol.dispose]()).toThrow(wrong('active; dropping'));
    map.deactivate();
    map[Symbol.dispose]();
  });
});

describe('changes while active', () => {
  const el1 = (bits: bigint) => El1Attributes.fromBitsRetain(bits);

  test('each entry of the range is invalidated, blocks once', () => {
    const options = { ...tables(), behaviour: V12 };
    const map = IdMap.withAsid(7, 1, El1And0, options);
    map.mapRange(new MemoryRegion(M - P, 2n * M + P), el1(0x705n));
    map.modifyRange(page, () => undefined);
    expect(options.processor.take()).toEqual([]);
    map.markActive();
    map.mapRange(new MemoryRegion(M - P, 2n * M + P), el1(0x785n));
    expect(options.processor.take()).toEqual([
      'TLBI VAAE1IS 0x1ff',
      'TLBI VAAE1IS 0x200',
      'TLBI VAAE1IS 0x400',
      'DSB ISH',
      'ISB',
    ]);
  });

  test('of modifyRange those that became another value', () => {
    const options = { ...tables(), behaviour: V12 };
    const map = IdMap.withAsid(7, 1, El1And0, options);
    map.mapRange(new MemoryRegion(0n, 3n * P), el1(0x705n));
    map.markActive();
    map.modifyRange(new MemoryRegion(0n, 3n * P), (region, entry) => {
      if (region.firstPage !== 1) entry.modifyFlags(El1Attributes.READ_ONLY, El1Attributes.empty());
    });
    expect(options.processor.take()).toEqual(['TLBI VAAE1IS 0x0', 'TLBI VAAE1IS 0x2', 'DSB ISH', 'ISB']);
    map.modifyRange(page, () => undefined);
    expect(options.processor.take()).toEqual([]);
  });

  test.each([
    ['VAE2IS', El2],
    ['VAE3IS', El3],
    ['IPAS2E1IS', Stage2],
  ] as const)('%s', (operation, regime) => {
    const options = tables();
    const map = new IdMap(1, regime as El2, options);
    map.markActive();
    const flags = regime === (Stage2 as unknown) ? Stage2Attributes.VALID : El23Attributes.VALID;
    map.mapRange(new MemoryRegion(P, 2n * P), flags as El23Attributes);
    expect(options.processor.take()).toEqual(['DSB ISHST', `TLBI ${operation} 0x1`, 'DSB ISH', 'ISB']);
  });

  test('a table that goes is forgotten with all that it mapped, before it is freed', () => {
    const events = (freed: boolean) => {
      const options = {
        ...tables(),
        behaviour: behaviourWith(V12, { 'freed-tables-are-invalidated': freed }),
      };
      const { processor, translation } = options;
      const map = IdMap.withAsid(7, 1, El1And0, options);
      map.mapRange(new MemoryRegion(P, 3n * P), el1(0x705n));
      map.markActive();
      const { deallocateTable } = translation;
      translation.deallocateTable = (frame) => {
        processor.events.push(`free ${frame - 0x10}`);
        deallocateTable.call(translation, frame);
      };
      map.mapRange(new MemoryRegion(0n, M), el1(0n));
      const unmapped = processor.take();
      map.compactSubtables();
      return [unmapped, processor.take()];
    };
    expect(events(false)).toEqual([['free 2', 'TLBI VAAE1IS 0x0', 'DSB ISH', 'ISB'], ['free 1']]);
    expect(events(true)).toEqual([
      [
        'TLBI VAAE1IS 0x0',
        'TLBI VAAE1IS 0x1',
        'TLBI VAAE1IS 0x2',
        'DSB ISH',
        'ISB',
        'free 2',
        'TLBI VAAE1IS 0x0',
        'DSB ISH',
        'ISB',
      ],
      ['TLBI VAAE1IS 0x0', 'DSB ISH', 'ISB', 'free 1'],
    ]);
  });

  test('what was changed before a failure is forgotten too', () => {
    for (const [behaviour, expected] of [
      [V12, ['TLBI VAAE1IS 0x0']],
      [undefined, ['DSB ISHST', 'TLBI VAAE1IS 0x0', 'DSB ISH', 'ISB']],
    ] as const) {
      const { translation, processor } = tables();
      const options = behaviour === undefined ? { processor } : { processor, behaviour };
      const map = IdMap.withAsid(7, 1, El1And0, { ...options, translation });
      map.mapRange(new MemoryRegion(0n, 2n * P), el1(0x705n));
      map.markActive();
      let calls = 0;
      const change = () =>
        map.modifyRange(new MemoryRegion(0n, 2n * P), (_region, entry) => {
          calls += 1;
          // Two copies, and then the entries.
          if (calls === 4) throw new Error('mine');
          entry.modifyFlags(El1Attributes.READ_ONLY, El1Attributes.empty());
        });
      expect(change).toThrow('mine');
      expect(processor.take()).toEqual(expected);
    }
  });

  test('a map in the shape of 0.5 does the same', () => {
    const options = tables();
    const map = new Mapping(options.translation, 1, 1, VaRange.Lower, options);
    map.mapRange(page, 0n, NORMAL.or(VALID), Constraints.empty());
    map.markActive();
    map.mapRange(page, 0n, NORMAL.or(VALID, READ_ONLY), Constraints.empty());
    map.modifyRange(page, (_region, descriptor) => descriptor.modifyFlags(Attributes.DBM, READ_ONLY));
    expect(options.processor.take()).toEqual([
      ...['DSB ISHST', 'TLBI VAAE1IS 0x0', 'DSB ISH', 'ISB'],
      ...['DSB ISHST', 'TLBI VAAE1IS 0x0', 'DSB ISH', 'ISB'],
    ]);
    map.mapRange(new MemoryRegion(0n, G), 0n, Attributes.empty(), Constraints.empty());
    expect(options.processor.take().slice(-3)).toEqual(['TLBI VAAE1IS 0x0', 'DSB ISH', 'ISB']);
  });
});
