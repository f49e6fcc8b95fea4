// The contract kit: mappers that keep their promises pass every rule, and each of those that break one fails one.
import { describe, expect, test } from 'vitest';
import {
  type ContractRule,
  ContractViolation,
  mapContract,
  type SeenMapping,
} from '../../src/hal-core/contract.ts';
import {
  type Alloc,
  EmptyAlloc,
  GuardedMap,
  Handle,
  type PAddr,
  Page,
  PageRange,
  Size4Kb,
  type StaticSize,
  VAddr,
} from '../../src/hal-core/index.ts';
import { Walker } from '../../src/walk/index.ts';
import { DictionaryMapper, key, Mapping } from './dictionary.ts';
import { base, CountingAlloc, CR0_WP, frame, frameOf, hex, Machine, page, pageOf, SIZES } from './machine.ts';
import { refused } from './thrown.ts';

const ADDRESS = 0x80_0000_0000n;

/** `PageCtrl` with pages of a size, seen by `Walker`. */
function ofPageCtrl(size: StaticSize) {
  const machine = new Machine({ window: 'tables', registers: { cr0: (1n << 31n) | CR0_WP } });
  const first = pageOf(ADDRESS, size);
  const look = (virt: Page<VAddr, StaticSize>): SeenMapping | undefined => {
    const address = base(virt);
    const walk = new Walker(machine.memory, machine.cpu.paging());
    const phys = walk.translateAddress(address);
    if (phys === undefined) return undefined;
    const allows = (kind: 'write' | 'fetch') =>
      kind === 'write' ? machine.cpu.write(address, 8, 0n) : machine.cpu.fetch(address, 1);
    return {
      phys: frameOf(phys, size),
      writable: allows('write').kind !== 'fault',
      executable: allows('fetch').kind !== 'fault',
      commits: machine.log.filter((line) => line === `invlpg ${hex(address)}`).length,
    };
  };
  // Large pages lie behind the end of memory.
  const frames = frameOf(size === Size4Kb ? 0xa_0000n : 0x1_0000_0000n, size);
  return {
    mapper: machine.ctrl,
    alloc: machine.alloc,
    pages: first.rangeInclusive(first.add(3)),
    frames: frames.rangeInclusive(frames.add(3)),
    look,
  };
}

/** A dictionary, seen as it is. */
function ofDictionary(mapper: DictionaryMapper<Size4Kb>) {
  return {
    mapper,
    alloc: new CountingAlloc() as Alloc<Size4Kb>,
    pages: page(ADDRESS).rangeInclusive(page(ADDRESS + 0x3000n)),
    frames: frame(0xa_0000n).rangeInclusive(frame(0xa_3000n)),
    look: (virt: Page<VAddr, Size4Kb>): SeenMapping | undefined => mapper.mappings.get(key(virt)),
  };
}

/** The names of the rules that are broken. */
function broken(rules: readonly ContractRule[]): string[] {
  return rules
    .filter(({ run }) => {
      try {
        run();
        return false;
      } catch {
        return true;
      }
    })
    .map(({ name }) => name);
}

describe.each(SIZES)('PageCtrl with pages of %s', (size) => {
  for (const { name, run } of mapContract(() => ofPageCtrl(size))) test(name, run);
});

describe('a dictionary', () => {
  for (const { name, run } of mapContract(() => ofDictionary(new DictionaryMapper()))) test(name, run);
});

test('a dictionary passes too where nothing can be seen, and with no frames at all', () => {
  const make = () => {
    const { look: _, ...subject } = ofDictionary(new DictionaryMapper());
    return { ...subject, alloc: new EmptyAlloc() };
  };
  expect(broken(mapContract(make))).toEqual([]);
});

/** A dictionary whose new pages have rights of its own choice. */
function withRights(writable: boolean, executable: boolean): DictionaryMapper<Size4Kb> {
  return withMethods((mapper) => ({
    mapPage: (virt, phys, alloc) =>
      original.mapPage
        .call(mapper, virt, phys, alloc)
        .setWritable(writable)
        .setExecutable(executable) as never,
  }));
}

test.each([
  [true, true],
  [true, false],
  [false, false],
])('new pages may be writable: %s, and executable: %s', (writable, executable) => {
  expect(broken(mapContract(() => ofDictionary(withRights(writable, executable))))).toEqual([]);
});

test('new pages may be writable where a guard refuses writable aliases', () => {
  const make = () => {
    const inner = withRights(true, false);
    return { ...ofDictionary(inner), mapper: new GuardedMap<Size4Kb>(inner) };
  };
  expect(broken(mapContract(make))).toEqual([]);
});

type Virt = Page<VAddr, Size4Kb>;
type Phys = Page<PAddr, Size4Kb>;
type SetFlags = (handle: Handle<Size4Kb, Mapping>) => void;

/** What a range method that one has written oneself is given. */
interface Range {
  readonly mapper: DictionaryMapper<Size4Kb>;
  readonly virt: PageRange<VAddr, Size4Kb>;
  readonly phys: PageRange<PAddr, Size4Kb>;
  readonly setFlags: SetFlags;
  readonly alloc: Alloc<Size4Kb>;
}

/** A dictionary with a `mapRange` of its own, which is `body` after the checks of the original one. */
function withMapRange(body: (range: Range) => PageRange<VAddr, Size4Kb>): DictionaryMapper<Size4Kb> {
  class Mutant extends DictionaryMapper<Size4Kb> {
    override mapRange(virt: never, phys: never, setFlags: never, alloc: never): never {
      return body({ mapper: this, virt, phys, setFlags, alloc }) as never;
    }
  }
  return new Mutant();
}

/** Pairs of pages. */
const pairs = ({ virt, phys }: Range): [Virt, Phys][] =>
  Array.from(virt, (each, i) => [each, phys.start().add(i)]);

/** Maps as `mapRange` does. */
function mapPairs(range: Range, list: readonly [Virt, Phys][]): PageRange<VAddr, Size4Kb> {
  for (const [virt, phys] of list) {
    const handle = range.mapper.mapPage(virt, phys, range.alloc);
    range.setFlags(handle);
    handle.commit();
  }
  return range.virt;
}

/** A dictionary with methods of its own. */
function withMethods(
  change: (mapper: DictionaryMapper<Size4Kb>) => Partial<DictionaryMapper<Size4Kb>>,
): DictionaryMapper<Size4Kb> {
  const mapper = new DictionaryMapper<Size4Kb>();
  return Object.assign(mapper, change(mapper));
}

const original = DictionaryMapper.prototype;

/** Mappers that break a rule, and words of the name of a rule that must find it. */
const MUTANTS: readonly (readonly [string, () => DictionaryMapper<Size4Kb>, string])[] = [
  [
    'maps over a page that is mapped',
    () =>
      withMethods((mapper) => ({
        mapPage: (virt, phys, alloc) => {
          mapper.mappings.delete(key(virt));
          return original.mapPage.call(mapper, virt, phys, alloc) as never;
        },
      })),
    'cannot be mapped again',
  ],
  [
    'takes the same frame a second time for no change',
    () =>
      withMethods((mapper) => ({
        mapPage: (virt, phys, alloc) => {
          const before = mapper.mappings.get(key(virt));
          if (before?.phys.equals(phys)) return new Handle(virt, before);
          return original.mapPage.call(mapper, virt, phys, alloc) as never;
        },
      })),
    'cannot be mapped again',
  ],
  [
    'maps over a page whose handle was not committed',
    () =>
      withMethods((mapper) => ({
        mapPage: (virt, phys, alloc) => {
          if (mapper.mappings.get(key(virt))?.commits === 0) mapper.mappings.delete(key(virt));
          return original.mapPage.call(mapper, virt, phys, alloc) as never;
        },
      })),
    'cannot be mapped again',
  ],
  [
    'cannot make a page not present',
    () =>
      withMethods((mapper) => ({
        mapPage: (virt, phys, alloc) => {
          const handle = original.mapPage.call(mapper, virt, phys, alloc);
          (mapper.mappings.get(key(virt)) as Mapping).setPresent = () => {};
          return handle as never;
        },
      })),
    'setters of a handle count at once',
  ],
  [
    'flagsMut makes other pages writable',
    () =>
      withMethods((mapper) => ({
        flagsMut: (virt) => {
          for (const [address, mapping] of mapper.mappings)
            if (address !== key(virt)) mapping.writable = true;
          return original.flagsMut.call(mapper, virt) as never;
        },
      })),
    'changes nothing else',
  ],
  [
    'maps the next page',
    () =>
      withMethods((mapper) => ({
        mapPage: (virt, phys, alloc) => original.mapPage.call(mapper, virt.add(1), phys, alloc) as never,
      })),
    'mapPage maps the page',
  ],
  [
    'maps to another frame, of which unmap says nothing',
    () =>
      withMethods((mapper) => ({
        mapPage: (virt, phys, alloc) => original.mapPage.call(mapper, virt, phys.add(1), alloc) as never,
        unmap: (virt) => (original.unmap.call(mapper, virt) as Phys).sub(1),
      })),
    'mapPage maps the page',
  ],
  [
    'gives the handle of another page',
    () =>
      withMethods((mapper) => ({
        mapPage: (virt, phys, alloc) => {
          original.mapPage.call(mapper, virt, phys, alloc);
          return new Handle(virt.add(1), mapper.mappings.get(key(virt)) as Mapping);
        },
      })),
    'gives the handle of that page',
  ],
  [
    'gives the handle of a copy',
    () =>
      withMethods((mapper) => ({
        mapPage: (virt, phys, alloc) => {
          original.mapPage.call(mapper, virt, phys, alloc);
          return new Handle(virt, new Mapping(phys, []));
        },
      })),
    'setters of a handle count at once',
  ],
  [
    'maps with the commit only',
    () =>
      withMethods((mapper) => ({
        mapPage: (virt, phys, alloc) => {
          original.mapPage.call(mapper, virt, phys, alloc);
          const mapping = mapper.mappings.get(key(virt)) as Mapping;
          mapper.mappings.delete(key(virt));
          mapping.commit = () => {
            mapper.mappings.set(key(virt), mapping);
            mapping.commits += 1;
          };
          return new Handle(virt, mapping);
        },
      })),
    'a handle that is dropped',
  ],
  [
    'commits when it maps',
    () =>
      withMethods((mapper) => ({
        mapPage: (virt, phys, alloc) => {
          const handle = original.mapPage.call(mapper, virt, phys, alloc);
          (mapper.mappings.get(key(virt)) as Mapping).commits += 1;
          return handle as never;
        },
      })),
    'not committed before its handle is',
  ],
  [
    'unmap frees the frame',
    () => {
      let alloc: Alloc<Size4Kb> = new EmptyAlloc();
      return withMethods((mapper) => ({
        mapPage: (virt, phys, given) => {
          alloc = given as Alloc<Size4Kb>;
          return original.mapPage.call(mapper, virt, phys, given) as never;
        },
        unmap: (virt) => {
          const phys = original.unmap.call(mapper, virt) as Phys;
          alloc.dealloc(phys);
          return phys;
        },
      }));
    },
    'no call frees a physical page',
  ],
  [
    'unmap leaves the page mapped',
    () =>
      withMethods((mapper) => ({
        unmap: (virt) => {
          const { phys } = mapper.flagsMut(virt) && (mapper.mappings.get(key(virt)) as Mapping);
          return phys as Phys;
        },
      })),
    'can be mapped again',
  ],
  [
    'unmap gives another frame',
    () => withMethods((mapper) => ({ unmap: (virt) => (original.unmap.call(mapper, virt) as Phys).add(1) })),
    'unmap gives the physical page',
  ],
  [
    'unmap of a page that is not mapped gives one',
    () =>
      withMethods((mapper) => ({
        unmap: (virt) =>
          mapper.mappings.has(key(virt)) ? (original.unmap.call(mapper, virt) as Phys) : frame(0n),
      })),
    'unmap refuses',
  ],
  [
    'unmap unmaps the next page too',
    () =>
      withMethods((mapper) => ({
        unmap: (virt) => {
          mapper.mappings.delete(key(virt.add(1)));
          return original.unmap.call(mapper, virt) as Phys;
        },
      })),
    'others still are',
  ],
  [
    'flagsMut maps a page that is not mapped',
    () =>
      withMethods((mapper) => ({
        flagsMut: (virt) =>
          mapper.mappings.has(key(virt))
            ? (original.flagsMut.call(mapper, virt) as never)
            : (mapper.mapPage(virt, frame(0n), new EmptyAlloc()) as never),
      })),
    'flagsMut refuses',
  ],
  [
    'flagsMut clears flags',
    () =>
      withMethods((mapper) => ({
        flagsMut: (virt) =>
          original.flagsMut.call(mapper, virt).setWritable(false).setExecutable(true) as never,
      })),
    'flags stay',
  ],
  [
    'identityMap maps another page',
    () =>
      withMethods((mapper) => ({
        identityMap: (phys, alloc) =>
          mapper.mapPage(
            Page.containing(VAddr.fromUsize(base(phys) + 0x1000n), Size4Kb),
            phys as Phys,
            alloc,
          ),
      })),
    'identityMap maps a physical page',
  ],
  [
    'mapRange maps downwards',
    () => withMapRange((range) => mapPairs(checked(range), pairs(range).reverse())),
    'upwards',
  ],
  [
    'mapRange commits before the callback',
    () =>
      withMapRange((range) => {
        for (const [virt, phys] of pairs(checked(range))) {
          const handle = range.mapper.mapPage(virt, phys, range.alloc);
          handle.commit();
          range.setFlags(handle);
        }
        return range.virt;
      }),
    'calls back once for each page',
  ],
  [
    'mapRange commits twice',
    () =>
      withMapRange((range) => {
        mapPairs(checked(range), pairs(range));
        for (const page of range.virt) range.mapper.flagsMut(page).commit();
        return range.virt;
      }),
    'commits each page once',
  ],
  [
    'mapRange commits at the end',
    () =>
      withMapRange((range) => {
        const handles = pairs(checked(range)).map(([virt, phys]) => {
          const handle = range.mapper.mapPage(virt, phys, range.alloc);
          range.setFlags(handle);
          return handle;
        });
        for (const handle of handles) handle.commit();
        return range.virt;
      }),
    'before the next page',
  ],
  [
    'mapRange does not commit',
    () =>
      withMapRange((range) => {
        for (const [virt, phys] of pairs(checked(range)))
          range.setFlags(range.mapper.mapPage(virt, phys, range.alloc));
        return range.virt;
      }),
    'commits each page once',
  ],
  [
    'mapRange does not call back',
    () => withMapRange((range) => mapPairs({ ...checked(range), setFlags: () => {} }, pairs(range))),
    'calls back once for each page',
  ],
  [
    'mapRange calls back for a copy',
    () =>
      withMapRange((range) =>
        mapPairs(
          {
            ...checked(range),
            setFlags: (handle) => range.setFlags(new Handle(handle.virtPage(), new Mapping(frame(0n), []))),
          },
          pairs(range),
        ),
      ),
    'flags that the callback',
  ],
  [
    'mapRange returns the physical pages',
    () => withMapRange((range) => mapPairs(checked(range), pairs(range)) && (range.phys as never)),
    'returns the pages',
  ],
  [
    'mapRange returns one page less',
    () =>
      withMapRange((range) => {
        mapPairs(checked(range), pairs(range));
        return new PageRange(
          range.virt.start(),
          range.virt.len() > 1n ? range.virt.end().sub(1) : range.virt.end(),
        );
      }),
    'returns the pages',
  ],
  [
    'mapRange maps one page less',
    () => withMapRange((range) => mapPairs(checked(range), pairs(range).slice(0, -1))),
    'mapRange maps each page',
  ],
  [
    'mapRange maps all pages to the first frame',
    () =>
      withMapRange((range) =>
        mapPairs(
          checked(range),
          pairs(range).map(([virt]) => [virt, range.phys.start()]),
        ),
      ),
    'to its own physical page',
  ],
  [
    'mapRange maps before it compares lengths',
    () =>
      withMapRange(
        (range) => mapPairs(range, pairs(range).slice(0, Number(range.phys.len()))) && checked(range).virt,
      ),
    'before it maps anything',
  ],
  [
    'mapRange passes over a page that is mapped',
    () =>
      withMapRange((range) => {
        const free = pairs(checked(range)).filter(([virt]) => !range.mapper.mappings.has(key(virt)));
        return mapPairs(range, free);
      }),
    'mapRange stops at a page',
  ],
  [
    'mapRange swallows errors',
    () =>
      withMapRange((range) => {
        try {
          mapPairs(checked(range), pairs(range));
        } catch {}
        return range.virt;
      }),
    'mapRange stops at a page',
  ],
  [
    'mapRange undoes what it did before an error',
    () =>
      withMapRange((range) => {
        try {
          return mapPairs(checked(range), pairs(range));
        } catch (error) {
          for (const page of range.virt) if (page.compare(range.virt.start()) === 0) range.mapper.unmap(page);
          throw error;
        }
      }),
    'leaves those before it mapped',
  ],
  [
    'mapRange wraps errors of the callback',
    () =>
      withMapRange((range) => {
        const setFlags: SetFlags = (handle) => {
          try {
            range.setFlags(handle);
          } catch (cause) {
            throw new Error('callback', { cause });
          }
        };
        return mapPairs({ ...checked(range), setFlags }, pairs(range));
      }),
    'passes unchanged',
  ],
  [
    'mapRange lets the callback map',
    () => withMapRange((range) => mapPairs(checked(range), pairs(range))),
    'neither commit nor map',
  ],
  [
    'identityMapRange is one page short, as the original',
    () =>
      withMethods((mapper) => ({
        identityMapRange: (phys, setFlags, alloc) => {
          const [start, end] = [phys.start(), phys.end()].map((each) => page(base(each)));
          return mapper.mapRange(start.rangeTo(end), phys as never, setFlags, alloc) as never;
        },
      })),
    'identityMapRange',
  ],
  [
    'unmapRange unmaps downwards',
    () =>
      withMethods((mapper) => ({
        unmapRange: (virt) => {
          for (const each of [...virt].reverse()) mapper.unmap(each);
        },
      })),
    'leaves the pages behind it',
  ],
  [
    'unmapRange goes on past a page that is not mapped',
    () =>
      withMethods((mapper) => ({
        unmapRange: (virt) => {
          for (const each of virt) if (mapper.mappings.has(key(each))) mapper.unmap(each);
        },
      })),
    'unmapRange stops',
  ],
  [
    'unmapRange leaves out the last page',
    () =>
      withMethods((mapper) => ({
        unmapRange: (virt) => {
          for (const each of virt) if (each.compare(virt.end()) === -1) mapper.unmap(each);
        },
      })),
    'unmapRange unmaps pages',
  ],
  [
    'unmapRange looks at the length, as mapRange does',
    () =>
      withMethods((mapper) => ({
        unmapRange: (virt) => {
          virt.len();
          for (const each of virt) mapper.unmap(each);
        },
      })),
    'ends before it starts',
  ],
  [
    'unmapRange takes the range the other way round',
    () =>
      withMethods((mapper) => ({
        unmapRange: (virt) => {
          const [from, to] =
            virt.start().compare(virt.end()) === 1 ? [virt.end(), virt.start()] : [virt.start(), virt.end()];
          for (const each of from.rangeInclusive(to)) mapper.unmap(each);
        },
      })),
    'ends before it starts',
  ],
];

/** Throws as `mapRange` does before it maps anything. */
function checked(range: Range): Range {
  if (range.virt.len() !== range.phys.len()) throw new Error('lengths');
  return range;
}

describe('a dictionary that', () => {
  test.each(MUTANTS)('%s is found out', (_, make, rule) => {
    const rules = mapContract(() => ofDictionary(make()));
    const found = broken(rules);
    expect(found).toContainEqual(expect.stringContaining(rule));
    // Some promises it keeps.
    expect(found.length).toBeLessThan(rules.length);
  });
});

test('a rule that is broken says what was found and what was expected', () => {
  const mutant = MUTANTS.find(([name]) => name === 'unmap gives another frame');
  const rules = mapContract(() => ofDictionary(mutant?.[1]() as DictionaryMapper<Size4Kb>));
  const rule = rules.find(({ name }) => name.startsWith('unmap gives'));
  expect(() => rule?.run()).toThrow(ContractViolation);
  expect(() => rule?.run()).toThrow(
    'unmap gives Page { base: PAddr(0xa2000), size: 4KB }; expected Page { base: PAddr(0xa1000), size: 4KB }',
  );
});

test('a subject with too few pages is refused', () => {
  const make = () => {
    const subject = ofDictionary(new DictionaryMapper());
    return { ...subject, pages: page(0n).rangeInclusive(page(0x2000n)) };
  };
  expect(() => mapContract(make)[0].run()).toThrow('expected at least 4 of each');
});

test('what is no subject is refused, and what makes none', () => {
  refused(
    () => mapContract(undefined as never),
    'BAD_ARGUMENT',
    'mapContract: undefined; expected a function',
  );
  const subject = ofDictionary(new DictionaryMapper());
  for (const [none, says] of [
    [undefined, 'pages: undefined; expected a PageRange of VAddr'],
    [{ ...subject, frames: subject.pages }, 'expected a PageRange of PAddr'],
    [{ ...subject, mapper: new globalThis.Map() }, 'mapper: [object Map]; expected a Map'],
  ] as const) {
    refused(() => mapContract(() => none as never)[0].run(), 'BAD_ARGUMENT', says);
  }
});
