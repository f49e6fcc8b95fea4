// The two rules are those of the original's documentation of `Map`: writable XOR executable, and no writable alias.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ContractSubject, mapContract } from '../../src/hal-core/contract.ts';
import {
  type Alloc,
  AnySize,
  EmptyAlloc,
  GuardedMap,
  type Handle,
  PAddr,
  Page,
  type PageFlags,
  type Size,
  Size2Mb,
  type Size4Kb,
  type StaticSize,
  UnsafeMapping,
  VAddr,
} from '../../src/hal-core/index.ts';
import { LONG } from '../support/long.ts';
import { DictionaryMapper, key, Mapping } from './dictionary.ts';
import { base, frame, frameOf, hex, Machine, page, pageOf, SIZES } from './machine.ts';
import { refused } from './thrown.ts';

const NONE = new EmptyAlloc();

/** A dictionary that has never held an entry with both rights. */
class Watched<S extends Size = Size4Kb> extends DictionaryMapper<S> {
  readonly unsafe: string[] = [];

  override mapPage(virt: Page<VAddr, S>, phys: Page<PAddr, S>, alloc: Alloc<S>): Handle<S, Mapping> {
    const handle = super.mapPage(virt, phys, alloc);
    const mapping = this.mappings.get(key(virt)) as Mapping;
    for (const setter of ['setWritable', 'setExecutable'] as const) {
      mapping[setter] = (value) => {
        Mapping.prototype[setter].call(mapping, value);
        if (mapping.writable && mapping.executable) this.unsafe.push(String(virt));
      };
    }
    return handle;
  }

  flags(address: bigint): string {
    const mapping = this.mappings.get(address);
    return mapping === undefined
      ? 'none'
      : `${mapping.writable ? 'w' : '-'}${mapping.executable ? 'x' : '-'}`;
  }
}

function made() {
  const inner = new Watched();
  const map = new GuardedMap(inner);
  const at = (virt: bigint, phys: bigint) => map.mapPage(page(virt), frame(phys), NONE);
  return { inner, map, at };
}

describe('a page that is writable and executable', () => {
  test('is refused with the commit, and not mapped then', () => {
    const { inner, at } = made();
    const handle = at(0x1000n, 0x5000n).setWritable(true);
    // What was asked for; the entry is still as it was.
    expect([handle.isWritable(), handle.isExecutable(), inner.flags(0x1000n)]).toEqual([true, true, '-x']);
    const error = refused(
      () => handle.commit(),
      'UNSAFE_MAPPING',
      'Page { base: VAddr(0x1000), size: 4KB } would be writable and executable',
    );
    expect(error).toBeInstanceOf(UnsafeMapping);
    expect(error).toMatchObject({
      kind: 'WritableAndExecutable',
      other: undefined,
      detail: { virt: 0x1000n },
    });
    expect([inner.flags(0x1000n), inner.log, inner.unsafe]).toEqual([
      'none',
      ['map 1000 5000', 'unmap 1000'],
      [],
    ]);
    refused(() => handle.setWritable(false), 'BAD_ARGUMENT', 'was committed');
    at(0x1000n, 0x5000n).commit();
  });

  test('can be made in any order of the setters, as long as it ends with one right', () => {
    const { inner, map, at } = made();
    at(0x1000n, 0x5000n).setWritable(true).setExecutable(false).commit();
    expect(inner.flags(0x1000n)).toBe('w-');
    map.flagsMut(page(0x1000n)).setExecutable(true).setWritable(false).commit();
    expect(inner.flags(0x1000n)).toBe('-x');
    map.flagsMut(page(0x1000n)).setExecutable(false).setWritable(true).setWritable(false).commit();
    expect([inner.flags(0x1000n), inner.unsafe]).toEqual(['--', []]);
  });

  test('is refused for a page that was mapped before: it has the flags it had', () => {
    const { inner, map, at } = made();
    at(0x1000n, 0x5000n).setExecutable(false).setWritable(true).commit();
    const handle = map.flagsMut(page(0x1000n)).setWritable(false).setExecutable(true).setWritable(true);
    refused(() => handle.commit(), 'UNSAFE_MAPPING');
    expect([inner.flags(0x1000n), inner.mappings.get(0x1000n)?.commits, inner.unsafe]).toEqual(['w-', 2, []]);
  });

  test('is refused where it is not present too', () => {
    const { inner, at } = made();
    refused(() => at(0x1000n, 0x5000n).setPresent(false).setWritable(true).commit(), 'UNSAFE_MAPPING');
    expect(inner.flags(0x1000n)).toBe('none');
  });

  test('ends a range: pages before it stay, it is not mapped', () => {
    const { inner, map } = made();
    const call = () =>
      map.mapRange(
        page(0x1000n).rangeInclusive(page(0x3000n)),
        frame(0x5000n).rangeInclusive(frame(0x7000n)),
        (handle) => void (base(handle.virtPage()) === 0x2000n && handle.setWritable(true)),
        NONE,
      );
    const error = refused(call, 'UNSAFE_MAPPING', 'stopped at Page');
    expect(error).toMatchObject({
      detail: { done: 1, page: 0x2000n, virt: 0x2000n },
      cause: { kind: 'WritableAndExecutable' },
    });
    expect([...inner.mappings.keys()]).toEqual([0x1000n]);
  });
});

describe('a second mapping of the same memory', () => {
  test('is refused if the first one is writable, before anything is mapped; the error names both', () => {
    const { inner, at } = made();
    at(0x1000n, 0x5000n).setExecutable(false).setWritable(true).commit();
    const error = refused(
      () => at(0x2000n, 0x5000n),
      'UNSAFE_MAPPING',
      'mapPage: Page { base: VAddr(0x2000), size: 4KB } (read-only) would map Page { base: PAddr(0x5000), size: 4KB }, of which ' +
        'Page { base: VAddr(0x1000), size: 4KB } (writable) maps Page { base: PAddr(0x5000), size: 4KB }',
    );
    expect(error).toMatchObject({ kind: 'WritableAlias', detail: { virt: 0x2000n, other: 0x1000n } });
    expect([...inner.mappings.keys()]).toEqual([0x1000n]);
    at(0x2000n, 0x6000n).commit();
  });

  test('may be read-only if the first one is; made writable, it is refused with the commit', () => {
    const { inner, map, at } = made();
    at(0x1000n, 0x5000n).commit();
    const handle = at(0x2000n, 0x5000n).setExecutable(false).setWritable(true);
    expect(inner.flags(0x2000n)).toBe('--');
    expect(refused(() => handle.commit(), 'UNSAFE_MAPPING')).toMatchObject({
      kind: 'WritableAlias',
      detail: { other: 0x1000n },
    });
    expect(inner.flags(0x2000n)).toBe('none');
    at(0x2000n, 0x5000n).commit();
    refused(
      () => map.flagsMut(page(0x1000n)).setExecutable(false).setWritable(true).commit(),
      'UNSAFE_MAPPING',
      'VAddr(0x2000)',
    );
    expect([inner.flags(0x1000n), inner.flags(0x2000n)]).toEqual(['-x', '-x']);
  });

  test('is free again once the other one is unmapped, or not present', () => {
    const { map, at } = made();
    at(0x1000n, 0x5000n).setExecutable(false).setWritable(true).commit();
    map.unmap(page(0x1000n));
    at(0x2000n, 0x5000n).setExecutable(false).setWritable(true).commit();
    map.flagsMut(page(0x2000n)).setPresent(false).commit();
    at(0x3000n, 0x5000n).commit();
    refused(() => map.flagsMut(page(0x2000n)).setPresent(true).commit(), 'UNSAFE_MAPPING', 'VAddr(0x3000)');
  });

  test('what is held back is set with the commit, if the other one has gone by then', () => {
    const { inner, map, at } = made();
    at(0x1000n, 0x5000n).commit();
    const handle = at(0x2000n, 0x5000n).setExecutable(false).setWritable(true);
    map.unmap(page(0x1000n));
    handle.commit();
    expect(inner.flags(0x2000n)).toBe('w-');
  });

  test.each([
    ['a large page over a small one', AnySize.Size4Kb, 0x40_3000n, AnySize.Size2Mb, 0x40_0000n],
    ['a small page in a large one', AnySize.Size1Gb, 0x4000_0000n, AnySize.Size4Kb, 0x7fff_f000n],
    ['a huge page over a large one', AnySize.Size2Mb, 0x4020_0000n, AnySize.Size1Gb, 0x4000_0000n],
  ])('has any size: %s', (_, size, address, otherSize, otherAddress) => {
    const inner = new Watched<AnySize>();
    const map = new GuardedMap(inner);
    const pages = (of: AnySize, virt: bigint, phys: bigint) =>
      [Page.startingAt(VAddr.fromUsize(virt), of), Page.startingAt(PAddr.fromUsize(phys), of)] as const;
    map
      .mapPage(...pages(size, 0n, address), NONE)
      .setExecutable(false)
      .setWritable(true)
      .commit();
    const refusedPage = () => map.mapPage(...pages(otherSize, 0x80_0000_0000n, otherAddress), NONE);
    refused(refusedPage, 'UNSAFE_MAPPING', String(size));
    map.unmap(Page.startingAt(VAddr.zero(), size));
    refusedPage().commit();
  });

  test('small pages below and above a large one share nothing with it', () => {
    const machine = new Machine();
    const map = new GuardedMap(machine.ctrl);
    for (const address of [0x3f_f000n, 0x60_0000n]) {
      map.identityMap(frame(address), machine.alloc).setExecutable(false).setWritable(true).commit();
    }
    map.mapPage(pageOf(0x4000_0000n, Size2Mb), frameOf(0x40_0000n, Size2Mb), machine.alloc).commit();
  });

  test('many small pages under a large one are looked at one by one, or all of them, whichever is less', () => {
    const inner = new Watched<AnySize>();
    const map = new GuardedMap(inner);
    const small = (virt: bigint, phys: bigint) =>
      map.mapPage(
        Page.startingAt(VAddr.fromUsize(virt), AnySize.Size4Kb),
        Page.startingAt(PAddr.fromUsize(phys), AnySize.Size4Kb),
        NONE,
      );
    for (let i = 0n; i < 600n; i += 1n) small(i << 12n, 0x20_0000n + (i << 12n)).commit();
    map
      .flagsMut(Page.startingAt(VAddr.fromUsize(511n << 12n), AnySize.Size4Kb))
      .setExecutable(false)
      .setWritable(true)
      .commit();
    const large = (phys: bigint) => () =>
      map.mapPage(
        Page.startingAt(VAddr.fromUsize(0x80_0000_0000n), AnySize.Size2Mb),
        Page.startingAt(PAddr.fromUsize(phys), AnySize.Size2Mb),
        NONE,
      );
    refused(large(0x20_0000n), 'UNSAFE_MAPPING', `VAddr(${hex(511n << 12n)})`);
    large(0x40_0000n)().commit();
  });
});

describe('a handle of a page ends', () => {
  const says =
    'of Page { base: VAddr(0x1000), size: 4KB } came after this handle of it; expected the latest one';
  const METHODS: readonly (readonly [string, (handle: Handle<Size4Kb>) => unknown])[] = [
    ['setWritable', (handle) => handle.setWritable(false)],
    ['setExecutable', (handle) => handle.setExecutable(false)],
    ['setPresent', (handle) => handle.setPresent(true)],
    ['isWritable', (handle) => handle.isWritable()],
    ['isExecutable', (handle) => handle.isExecutable()],
    ['isPresent', (handle) => handle.isPresent()],
    ['commit', (handle) => handle.commit()],
  ];

  test.each(METHODS)('with its unmap: %s of it is refused, and maps nothing', (name, call) => {
    const machine = new Machine();
    const map = new GuardedMap(machine.ctrl);
    const handle = map.mapPage(page(0x1000n), frame(0x5000n), machine.alloc);
    map.unmap(page(0x1000n));
    expect(machine.changedBy(() => refused(() => call(handle as never), 'BAD_ARGUMENT', says))).toEqual([]);
    expect(refused(() => call(handle as never), 'BAD_ARGUMENT').message).toMatch(new RegExp(`^${name}: `));
  });

  test('with its unmap: it is no way to an alias', () => {
    const { inner, map, at } = made();
    const stale = at(0x1000n, 0x5000n).setExecutable(false);
    map.unmap(page(0x1000n));
    at(0x2000n, 0x6000n).setExecutable(false).commit();
    at(0x1000n, 0x6000n).setExecutable(false).commit();
    refused(() => stale.setWritable(true), 'BAD_ARGUMENT', says);
    refused(() => stale.commit(), 'BAD_ARGUMENT', says);
    expect([inner.flags(0x1000n), inner.flags(0x2000n)]).toEqual(['--', '--']);
  });

  test('with flagsMut: two of them do not undo each other', () => {
    const { inner, map, at } = made();
    const first = at(0x1000n, 0x5000n).setExecutable(false);
    const second = map.flagsMut(page(0x1000n)).setWritable(true);
    for (const [, call] of METHODS) refused(() => call(first as never), 'BAD_ARGUMENT', says);
    second.commit();
    expect(inner.flags(0x1000n)).toBe('w-');
    // One that was refused ends nothing.
    const third = map.flagsMut(page(0x1000n));
    refused(() => at(0x1000n, 0x6000n), 'ALREADY_MAPPED');
    third.setWritable(false).commit();
    expect(inner.flags(0x1000n)).toBe('--');
  });

  test('but not with those of other pages', () => {
    const { inner, map, at } = made();
    const handle = at(0x1000n, 0x5000n);
    at(0x2000n, 0x6000n).commit();
    map.flagsMut(page(0x2000n));
    map.unmap(page(0x2000n));
    handle.setExecutable(false).setWritable(true).commit();
    expect(inner.flags(0x1000n)).toBe('w-');
  });
});

test('a commit that is refused gives no right back that another mapping forbids by now', () => {
  const { inner, map, at } = made();
  at(0x1000n, 0x5000n).setExecutable(false).setWritable(true).commit();
  const handle = map.flagsMut(page(0x1000n)).setWritable(false);
  at(0x2000n, 0x5000n).commit();
  refused(() => handle.setWritable(true).commit(), 'UNSAFE_MAPPING', 'VAddr(0x2000)');
  expect([inner.flags(0x1000n), inner.flags(0x2000n)]).toEqual(['--', '-x']);
});

describe('over PageCtrl', () => {
  test('an entry that comes with rights of an earlier mapping is made safe, or refused', () => {
    const machine = new Machine();
    const map = new GuardedMap(machine.ctrl);
    map
      .mapPage(page(0x1000n), frame(0x5000n), machine.alloc)
      .setExecutable(false)
      .setWritable(true)
      .setPresent(false)
      .commit();
    // X24: bits of an entry that is not present stay.
    const handle = map.mapPage(page(0x1000n), frame(0x7000n), machine.alloc);
    expect([handle.isWritable(), handle.isExecutable()]).toEqual([true, false]);
    handle.setExecutable(true);
    expect(machine.peek(0x1_2008n)).toBe(0x8000_0000_0000_7003n);
    refused(() => handle.commit(), 'UNSAFE_MAPPING');
    expect(machine.peek(0x1_2008n)).toBe(0n);
    // The same where the alias is what is wrong.
    map
      .mapPage(page(0x1000n), frame(0x5000n), machine.alloc)
      .setExecutable(false)
      .setWritable(true)
      .setPresent(false)
      .commit();
    map.mapPage(page(0x2000n), frame(0x7000n), machine.alloc).commit();
    const alias = map.mapPage(page(0x1000n), frame(0x7000n), machine.alloc);
    expect(machine.peek(0x1_2008n)).toBe(0x8000_0000_0000_7001n);
    refused(() => alias.commit(), 'UNSAFE_MAPPING', 'VAddr(0x2000)');
  });

  test('a page that was new and is not present is not mapped after a commit that is refused', () => {
    const machine = new Machine();
    const map = new GuardedMap(machine.ctrl);
    const handle = map
      .mapPage(page(0x1000n), frame(0x5000n), machine.alloc)
      .setPresent(false)
      .setWritable(true);
    refused(() => handle.commit(), 'UNSAFE_MAPPING');
    expect(machine.peek(0x1_2008n)).toBe(0n);
  });

  test('its pages of all sizes count together', () => {
    const machine = new Machine();
    const map = new GuardedMap(machine.ctrl);
    map
      .mapPage(pageOf(0x4000_0000n, Size2Mb), frameOf(0n, Size2Mb), machine.alloc)
      .setExecutable(false)
      .setWritable(true)
      .commit();
    refused(() => map.identityMap(frame(0x5000n), machine.alloc), 'UNSAFE_MAPPING', 'size: 2MB');
  });

  test('a call from inside its callback is refused, on either of the two', () => {
    const machine = new Machine();
    const map = new GuardedMap(machine.ctrl);
    for (const mapper of [map, machine.ctrl]) {
      const call = () =>
        map.identityMapRange(
          frame(0n).rangeInclusive(frame(0n)),
          () => void mapper.unmap(page(0n)),
          machine.alloc,
        );
      refused(call, 'REENTERED');
      map.unmap(page(0n));
    }
  });

  test('a page that was mapped without it: only one of the two rights', () => {
    const machine = new Machine();
    machine.ctrl.mapPage(page(0x1000n), frame(0x5000n), machine.alloc).commit();
    const map = new GuardedMap(machine.ctrl);
    refused(() => map.flagsMut(page(0x1000n)).setWritable(true).commit(), 'UNSAFE_MAPPING');
    expect(machine.peek(0x1_2008n)).toBe(0x5001n);
    expect(base(map.unmap(page(0x1000n)))).toBe(0x5000n);
  });

  for (const { name, run } of mapContract((): ContractSubject<StaticSize, Alloc<Size4Kb>, PageFlags> => {
    const machine = new Machine();
    const [first, target] = [page(0x8_0000_0000n), frame(0xa_0000n)];
    return {
      mapper: new GuardedMap(machine.ctrl),
      alloc: machine.alloc,
      pages: first.rangeInclusive(first.add(3)),
      frames: target.rangeInclusive(target.add(3)),
    };
  })) {
    test(`as any Map: ${name}`, run);
  }
});

test('GuardedMap takes a Map', () => {
  refused(() => new GuardedMap({} as never), 'BAD_ARGUMENT', 'expected a Map');
});

// ---- random calls

const operation = fc.record({
  kind: fc.constantFrom('map', 'map', 'unmap', 'flags', 'earlier'),
  commit: fc.constantFrom(true, true, false),
  size: fc.constantFrom(...SIZES),
  virt: fc.nat({ max: 2 }),
  phys: fc.nat({ max: 2 }),
  writable: fc.boolean(),
  executable: fc.boolean(),
  present: fc.constantFrom(true, true, false),
});

test('whatever is asked for, no entry has both rights, and no writable page shares memory', () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 25 }), (operations) => {
      const inner = new Watched<StaticSize>();
      const map = new GuardedMap(inner);
      const handles: Handle<StaticSize>[] = [];
      for (const { kind, size, virt, phys, writable, executable, present, commit } of operations) {
        // Each size has linear pages of its own, and all sizes share the first 3 GiB of memory.
        const linear: Page<VAddr, StaticSize> = pageOf((size.SIZE << 12n) + BigInt(virt) * size.SIZE, size);
        const target: Page<PAddr, StaticSize> = frameOf(BigInt(phys) * size.SIZE, size);
        try {
          if (kind === 'unmap') map.unmap(linear);
          else {
            const earlier =
              kind === 'earlier' ? handles[(3 * virt + phys) % (handles.length || 1)] : undefined;
            const handle =
              earlier ?? (kind === 'map' ? map.mapPage(linear, target, NONE) : map.flagsMut(linear));
            handles.push(handle);
            handle.setPresent(present).setWritable(writable).setExecutable(executable);
            if (commit) handle.commit();
          }
        } catch (error) {
          const codes = ['UNSAFE_MAPPING', 'ALREADY_MAPPED', 'NOT_MAPPED', 'BAD_ARGUMENT'];
          expect(codes).toContain((error as UnsafeMapping).code);
        }
        expect(inner.unsafe).toEqual([]);
        const there = [...inner.mappings.values()].filter((each) => each.present);
        for (const one of there.filter((each) => each.writable)) {
          const sharing = there.filter(
            (other) =>
              base(one.phys) <= other.phys.endAddr().asUsize() &&
              base(other.phys) <= one.phys.endAddr().asUsize(),
          );
          expect(sharing).toEqual([one]);
        }
      }
    }),
    { numRuns: LONG ? 5000 : 200 },
  );
});
