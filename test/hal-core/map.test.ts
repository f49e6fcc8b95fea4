// Expected values: notes on mycelium, sections 8 and 9 and M1 to M13. The mapper under the provided methods is a dictionary.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { PageTableError } from '../../src/bits/index.ts';
import {
  AnySize,
  EmptyAlloc,
  GuardedMap,
  Handle,
  InvalidAddress,
  PAddr,
  Page,
  type PageRange,
  Size4Kb,
  VAddr,
} from '../../src/hal-core/index.ts';
import { at, DictionaryMapper, Mapping } from './dictionary.ts';
import { refused, thrown } from './thrown.ts';

const NONE = new EmptyAlloc();
const page = (address: bigint) => Page.startingAt(VAddr.fromUsize(address), Size4Kb);
const frame = (address: bigint) => Page.startingAt(PAddr.fromUsize(address), Size4Kb);
const pages = (first: bigint, last: bigint) => page(first).rangeInclusive(page(last));
const frames = (first: bigint, last: bigint) => frame(first).rangeInclusive(frame(last));
const any = (
  first: bigint,
  last: bigint,
  size: AnySize,
): [PageRange<VAddr, AnySize>, PageRange<PAddr, AnySize>] => [
  Page.startingAt(VAddr.fromUsize(first), size).rangeInclusive(Page.startingAt(VAddr.fromUsize(last), size)),
  Page.startingAt(PAddr.fromUsize(first), size).rangeInclusive(Page.startingAt(PAddr.fromUsize(last), size)),
];

/** A mapper, and a callback that only writes down that it was called. */
function made() {
  const mapper = new DictionaryMapper<Size4Kb>();
  const looking = (handle: Handle<Size4Kb>) => {
    mapper.log.push(`callback ${at(handle.virtPage())}`);
  };
  return { mapper, looking };
}

/** A mapper in which some pages are mapped already. */
function madeWith(...mapped: readonly bigint[]) {
  const { mapper, looking } = made();
  for (const address of mapped) mapper.mapPage(page(address), frame(0xf_0000n + address), NONE).commit();
  mapper.log.length = 0;
  return { mapper, looking };
}

describe('one page', () => {
  test('M1: identityMap maps a physical page to the page with its address', () => {
    const { mapper } = made();
    const mapped = mapper.identityMap(frame(0xb8000n), NONE).setWritable(true).setExecutable(false).commit();
    expect(mapped.equals(page(0xb8000n))).toBe(true);
    expect(mapper.log).toEqual(['map b8000 b8000', 'commit b8000']);
    expect(mapper.mappings.get(0xb8000n)).toMatchObject({ writable: true, executable: false, present: true });
  });

  test('M2: identityMap needs a linear page with that address', () => {
    const { mapper } = made();
    const error = refused(
      () => mapper.identityMap(frame(0x8000_0000_0000n), NONE),
      'OUT_OF_RANGE',
      'not canonical',
    );
    expect(error).toBeInstanceOf(InvalidAddress);
    expect(mapper.log).toEqual([]);
  });
});

describe('mapRange', () => {
  test('M3: maps, calls back and commits page by page, upwards, and returns the pages', () => {
    const { mapper, looking } = made();
    const virt = pages(0x1000n, 0x3000n);
    expect(mapper.mapRange(virt, frames(0xa000n, 0xc000n), looking, NONE)).toBe(virt);
    expect(mapper.log).toEqual(
      ['1000 a000', '2000 b000', '3000 c000'].flatMap((pair) => {
        const [at] = pair.split(' ');
        return [`map ${pair}`, `callback ${at}`, `commit ${at}`];
      }),
    );
  });

  test('M4: ranges of 3 and 2 pages are refused before anything is mapped', () => {
    const { mapper, looking } = made();
    const call = () => mapper.mapRange(pages(0x1000n, 0x3000n), frames(0xa000n, 0xb000n), looking, NONE);
    expect(refused(call, 'BAD_ARGUMENT', /3 pages in .* and 2 in /).detail).toEqual({ virt: 3n, phys: 2n });
    expect(mapper.log).toEqual([]);
  });

  test.each([
    ['M5: by bytes, where there are as many', 0x1000n, 8192n, 4194304n, /8192 bytes in .* and 4194304 in /],
    [
      'M6: by number of pages, even where there are as many bytes',
      0x1f_f000n,
      512n,
      1n,
      /512 pages in .* and 1 in /,
    ],
  ])('%s: pages of different sizes are refused', (_, last, left, right, says) => {
    const mapper = new DictionaryMapper<AnySize>();
    const [virt] = any(0n, last, AnySize.Size4Kb);
    const [, phys] = any(0n, left === 512n ? 0n : 0x20_0000n, AnySize.Size2Mb);
    const error = refused(() => mapper.mapRange(virt, phys, () => {}, NONE), 'BAD_ARGUMENT', says);
    expect(error.detail).toEqual({ virt: left, phys: right });
    expect(mapper.log).toEqual([]);
  });

  test('M7: what fails on the way leaves the pages before it mapped and committed, and says how far it came', () => {
    const { mapper, looking } = madeWith(0x2000n);
    const error = refused(
      () => mapper.mapRange(pages(0x1000n, 0x3000n), frames(0xa000n, 0xc000n), looking, NONE),
      'ALREADY_MAPPED',
      /mapRange: stopped at Page .*0x2000.* with 1 pages mapped before it: mapPage: .* is mapped/,
    );
    expect(error.detail).toEqual({ done: 1, page: 0x2000n });
    expect(error.cause).toMatchObject({ code: 'ALREADY_MAPPED' });
    expect(mapper.log).toEqual(['map 1000 a000', 'callback 1000', 'commit 1000']);
    expect([...mapper.mappings.keys()].sort()).toEqual([0x1000n, 0x2000n]);
    expect(mapper.mappings.get(0x2000n)?.phys.equals(frame(0xf_2000n))).toBe(true);
  });

  test('the callback sets flags before the commit (set-flags-may-set)', () => {
    const { mapper } = made();
    const seen: unknown[] = [];
    const setFlags = (handle: Handle<Size4Kb>) => {
      const same = handle
        .setWritable(handle.virtPage().baseAddr().asUsize() === 0x2000n)
        .setExecutable(false);
      seen.push([same === handle, mapper.mappings.get(handle.virtPage().baseAddr().asUsize())?.commits]);
    };
    mapper.mapRange(pages(0x1000n, 0x2000n), frames(0xa000n, 0xb000n), setFlags, NONE);
    expect(seen).toEqual([
      [true, 0],
      [true, 0],
    ]);
    expect([...mapper.mappings.values()].map(({ writable, executable }) => [writable, executable])).toEqual([
      [false, false],
      [true, false],
    ]);
  });

  test('an error of the callback passes unchanged; its page stays mapped, not committed', () => {
    const { mapper } = made();
    const mine = new Error('mine');
    const call = () =>
      mapper.mapRange(
        pages(0x1000n, 0x3000n),
        frames(0xa000n, 0xc000n),
        (handle) => {
          if (handle.virtPage().equals(page(0x2000n))) throw mine;
        },
        NONE,
      );
    expect(call).toThrow(mine);
    expect(mapper.log).toEqual(['map 1000 a000', 'commit 1000', 'map 2000 b000']);
    // The mapper can be used again.
    mapper.unmap(page(0x2000n));
  });

  test('an error of the mapper that is none of this package passes unchanged too', () => {
    const { mapper, looking } = made();
    const mine = new Error('mine');
    mapper.mapPage = () => {
      throw mine;
    };
    expect(() => mapper.mapRange(pages(0x1000n, 0x1000n), frames(0n, 0n), looking, NONE)).toThrow(mine);
  });

  test('an error of a commit says how far the call came', () => {
    const { mapper, looking } = made();
    class Stuck extends Mapping {
      override commit(): void {
        throw new PageTableError('PROCESSOR_FAULT', 'no', { address: 5n });
      }
    }
    const { mapPage } = mapper;
    mapper.mapPage = (...args) => {
      const handle = mapPage.apply(mapper, args);
      return at(args[0]) === '2000' ? new Handle(args[0], new Stuck(args[1], mapper.log)) : handle;
    };
    const call = () => mapper.mapRange(pages(0x1000n, 0x3000n), frames(0n, 0x2000n), looking, NONE);
    expect(refused(call, 'PROCESSOR_FAULT').detail).toEqual({ done: 1, page: 0x2000n, address: 5n });
  });

  test('the last page of each half and of physical memory can be mapped', () => {
    const { mapper, looking } = made();
    mapper.mapRange(
      pages(0x7fff_ffff_e000n, 0x7fff_ffff_f000n),
      frames(0x000f_ffff_ffff_e000n, 0x000f_ffff_ffff_f000n),
      looking,
      NONE,
    );
    mapper.mapRange(pages(0xffff_ffff_ffff_f000n, 0xffff_ffff_ffff_f000n), frames(0n, 0n), looking, NONE);
    expect([...mapper.mappings.keys()]).toEqual([
      0x7fff_ffff_e000n,
      0x7fff_ffff_f000n,
      0xffff_ffff_ffff_f000n,
    ]);
  });
});

describe('identityMapRange', () => {
  // The original panics for every range (M8 to M11): identity-map-range-works.
  test.each([
    ['M8', 0x1000n, 1],
    ['M9', 0x1000n, 2],
    ['M10', 0x1000n, 3],
    ['M11', 0n, 1],
  ])(
    '%s: from %s, %s pages are mapped to the pages with their addresses (identity-map-range-works)',
    (_, first, count) => {
      const { mapper, looking } = made();
      const last = first + 4096n * BigInt(count - 1);
      const virt = mapper.identityMapRange(frames(first, last), looking, NONE);
      expect(virt.equals(pages(first, last))).toBe(true);
      const expected = Array.from({ length: count }, (_, i) => (first + 4096n * BigInt(i)).toString(16));
      expect(mapper.log).toEqual(
        expected.flatMap((each) => [`map ${each} ${each}`, `callback ${each}`, `commit ${each}`]),
      );
    },
  );

  test('without linear pages with these addresses nothing is mapped', () => {
    const { mapper, looking } = made();
    const call = () => mapper.identityMapRange(frames(0x7fff_ffff_f000n, 0x8000_0000_0000n), looking, NONE);
    expect(refused(call, 'OUT_OF_RANGE')).toBeInstanceOf(InvalidAddress);
    expect(mapper.log).toEqual([]);
  });
});

describe('unmapRange', () => {
  test('M12: unmaps upwards, and stops at the first page that is not mapped', () => {
    const { mapper } = madeWith(0x1000n, 0x2000n, 0x4000n);
    const error = refused(
      () => mapper.unmapRange(pages(0x1000n, 0x4000n)),
      'NOT_MAPPED',
      /unmapRange: stopped at Page .*0x3000.* with 2 pages unmapped before it/,
    );
    expect(error.detail).toEqual({ done: 2, page: 0x3000n });
    expect(mapper.log).toEqual(['unmap 1000', 'unmap 2000']);
    expect([...mapper.mappings.keys()]).toEqual([0x4000n]);
  });

  test('M13: a range that ends before it starts has no pages', () => {
    const { mapper } = madeWith(0x1000n, 0x2000n, 0x3000n);
    expect(mapper.unmapRange(pages(0x3000n, 0x1000n))).toBe(undefined);
    expect(mapper.log).toEqual([]);
  });

  test('a range that runs into the hole says how far it came', () => {
    const { mapper } = madeWith(0x7fff_ffff_e000n);
    const error = refused(
      () => mapper.unmapRange(pages(0x7fff_ffff_e000n, 0xffff_8000_0000_0000n)),
      'OUT_OF_RANGE',
    );
    expect(error.detail).toMatchObject({ done: 1, page: 0x7fff_ffff_f000n });
    expect(mapper.log).toEqual(['unmap 7fffffffe000']);
  });
});

describe('handles', () => {
  const handle = () => {
    const mapping = new Mapping(frame(0x5000n), []);
    return { mapping, handle: new Handle(page(0x1000n), mapping) };
  };

  test('act on the entry at once, and return themselves', () => {
    const { mapping, handle: it } = handle();
    expect([it.isPresent(), it.isWritable(), it.isExecutable()]).toEqual([true, false, true]);
    expect(it.setWritable(true).setExecutable(false).setPresent(false)).toBe(it);
    expect(mapping).toMatchObject({ writable: true, executable: false, present: false, commits: 0 });
    expect([it.isPresent(), it.isWritable(), it.isExecutable()]).toEqual([false, true, false]);
  });

  test('end with their commit, which gives the page', () => {
    const { mapping, handle: it } = handle();
    expect(it.commit()).toBe(it.virtPage());
    expect(mapping.commits).toBe(1);
    const calls = [
      () => it.commit(),
      () => it.setWritable(true),
      () => it.setExecutable(true),
      () => it.setPresent(true),
      () => it.isWritable(),
      () => it.isExecutable(),
      () => it.isPresent(),
    ];
    for (const call of calls) refused(call, 'BAD_ARGUMENT', /the handle of Page .*0x1000.* was committed/);
    expect(mapping).toMatchObject({ writable: false, commits: 1 });
    expect(it.virtPage().equals(page(0x1000n))).toBe(true);
  });

  test('may not commit in the callback of a range', () => {
    const { mapper } = made();
    const call = () =>
      mapper.mapRange(pages(0x1000n, 0x1000n), frames(0n, 0n), (it) => void it.commit(), NONE);
    refused(call, 'BAD_ARGUMENT', /commit: Page .*0x1000.* is in the callback of a range/);
    expect(mapper.log).toEqual(['map 1000 0']);
  });

  test('have a debug text', () => {
    expect(
      inspect(new Handle(page(0x1000n), Object.assign(new Mapping(frame(0n), []), { toString: () => 'E' }))),
    ).toBe('Handle { page: Page { base: VAddr(0x1000), size: 4KB }, entry: E }');
  });
});

describe('a call from inside the callback', () => {
  test.each<[string, (mapper: DictionaryMapper<Size4Kb>) => unknown]>([
    ['mapRange', (mapper) => mapper.mapRange(pages(0x9000n, 0x9000n), frames(0n, 0n), () => {}, NONE)],
    ['identityMapRange', (mapper) => mapper.identityMapRange(frames(0n, 0n), () => {}, NONE)],
    ['unmapRange', (mapper) => mapper.unmapRange(pages(0x1000n, 0x1000n))],
    ['mapPage', (mapper) => mapper.identityMap(frame(0x9000n), NONE)],
    ['unmap', (mapper) => mapper.unmap(page(0x1000n))],
    ['flagsMut', (mapper) => mapper.flagsMut(page(0x1000n))],
  ])('%s is refused', (_, call) => {
    const { mapper } = made();
    const errors: unknown[] = [];
    mapper.mapRange(
      pages(0x1000n, 0x2000n),
      frames(0n, 0x1000n),
      () => errors.push(thrown(() => call(mapper)).code),
      NONE,
    );
    expect(errors).toEqual(['REENTERED', 'REENTERED']);
    expect(mapper.mappings.size).toBe(2);
  });
});

test('a mapper may have a field of whatever name', () => {
  class Mine extends DictionaryMapper<Size4Kb> {
    readonly reentry = 'mine';
  }
  const mapper = new Mine();
  const one = pages(0x1000n, 0x1000n);
  mapper.mapRange(one, frames(0x5000n, 0x5000n), () => {}, NONE);
  new GuardedMap<Size4Kb>(mapper).unmapRange(one);
  expect([mapper.mappings.size, mapper.reentry]).toEqual([0, 'mine']);
});

describe('what is none is refused', () => {
  const { mapper, looking } = made();
  const [virt, phys] = [pages(0n, 0n), frames(0n, 0n)];
  test.each<[string, () => unknown, string]>([
    [
      'physical pages for linear ones',
      () => mapper.mapRange(phys as never, phys, looking, NONE),
      'expected a PageRange of VAddr',
    ],
    [
      'linear pages for physical ones',
      () => mapper.mapRange(virt, virt as never, looking, NONE),
      'expected a PageRange of PAddr',
    ],
    [
      'a page for a range',
      () => mapper.mapRange(page(0n) as never, phys, looking, NONE),
      'expected a PageRange of VAddr',
    ],
    [
      'no callback',
      () => mapper.mapRange(virt, phys, undefined as never, NONE),
      'undefined; expected a function',
    ],
    [
      'a linear page to map to itself',
      () => mapper.identityMap(page(0n) as never, NONE),
      'expected a Page of PAddr',
    ],
    [
      'linear pages to map to themselves',
      () => mapper.identityMapRange(virt as never, looking, NONE),
      'expected a PageRange of PAddr',
    ],
    ['physical pages to unmap', () => mapper.unmapRange(phys as never), 'expected a PageRange of VAddr'],
    [
      'a handle of a physical page',
      () => new Handle(frame(0n) as never, new Mapping(frame(0n), [])),
      'expected a Page of VAddr',
    ],
    [
      'a handle without an entry',
      () => new Handle(page(0n), undefined as never),
      'undefined; expected an entry',
    ],
    [
      'a handle with an entry that lacks a method',
      () => new Handle(page(0n), Object.assign(new Mapping(frame(0n), []), { isPresent: 1 }) as never),
      'expected an entry (PageFlags), which has isPresent',
    ],
    [
      'a number for a flag',
      () => new Handle(page(0n), new Mapping(frame(0n), [])).setWritable(1 as never),
      'the number 1; expected true or false',
    ],
  ])('%s', (_, call, says) => {
    expect(refused(call, 'BAD_ARGUMENT').message).toContain(says);
  });

  test('a mapper that returns no handle', () => {
    const { mapper: broken } = made();
    broken.mapPage = () => undefined as never;
    refused(() => broken.mapRange(virt, phys, looking, NONE), 'BAD_ARGUMENT', 'undefined; expected a Handle');
    broken.flagsMut = () => undefined as never;
    const guarded = new GuardedMap(broken);
    refused(() => guarded.mapPage(page(0n), frame(0n), NONE), 'BAD_ARGUMENT', 'mapPage returned: undefined');
    refused(() => guarded.flagsMut(page(0n)), 'BAD_ARGUMENT', 'flagsMut returned: undefined');
  });
});
