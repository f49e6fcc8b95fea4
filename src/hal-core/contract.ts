import { wrongKind } from '../bits/wrong-kind.ts';
import { PAddr, VAddr } from './addr.ts';
import { EmptyAlloc } from './alloc.ts';
import { Handle, type PageFlags } from './handle.ts';
import { Map } from './map.ts';
import { checkRange, Page, PageRange } from './page.ts';
import type { Size } from './size.ts';

/** How a page is mapped, as the maker of a mapper reads it back. */
export interface SeenMapping {
  /** What it is mapped to. */
  readonly phys: Page<PAddr>;
  /** Whether it may be written. */
  readonly writable: boolean;
  /** Whether instructions may be fetched from it. */
  readonly executable: boolean;
  /** How often it was committed since it was mapped; left out if that cannot be told. */
  readonly commits?: number;
}

/** What {@link mapContract} tries its rules on. */
export interface ContractSubject<S extends Size, A, E extends PageFlags<S>> {
  /** A mapper that is used for nothing else. */
  readonly mapper: Map<S, A, E>;
  /** Gives frames for tables. */
  readonly alloc: A;
  /** Pages one after the other, at least four, none of them mapped. */
  readonly pages: PageRange<VAddr, S>;
  /** As many physical pages one after the other. The linear pages with their addresses are none of `pages`, and not mapped. */
  readonly frames: PageRange<PAddr, S>;
  /** How a page is mapped, or `undefined` if it is not. Without it, less can be tried. */
  readonly look?: (virt: Page<VAddr, S>) => SeenMapping | undefined;
}

/** One rule that every mapper must keep. */
export interface ContractRule {
  /** The rule, in words. */
  readonly name: string;
  /** Tries it; throws if it is broken, mostly a {@link ContractViolation}. */
  readonly run: () => void;
}

/** A mapper does not do what `Map` promises. */
export class ContractViolation extends Error {
  override readonly name: string = 'ContractViolation';
}

/**
 * The rules that every `Map` must keep, as tests for whatever test framework there is:
 *
 * `for (const { name, run } of mapContract(make)) test(name, run);`
 *
 * @param make - makes a mapper and what it needs; called afresh for each rule
 */
export function mapContract<S extends Size, A, E extends PageFlags<S>>(
  make: () => ContractSubject<S, A, E>,
): ContractRule[] {
  if (typeof make !== 'function') throw wrongKind('mapContract', make, 'a function that makes a mapper');
  return Object.entries(RULES).map(([name, rule]) => ({ name, run: () => rule(new Trial(make())) }));
}

/** Pages that a subject must have. */
const PAGES = 4;

/** Calls of a mapper on trial, with its pages and physical pages by number. */
class Trial<S extends Size, A, E extends PageFlags<S>> {
  readonly mapper: Map<S, A, E>;
  readonly alloc: A;
  readonly virt: readonly Page<VAddr, S>[];
  readonly phys: readonly Page<PAddr, S>[];
  readonly look: (page: number) => SeenMapping | undefined;
  /** What the allocator was given back. */
  readonly freed: string[] = [];

  constructor(subject: ContractSubject<S, A, E>) {
    const pages = checkRange('mapContract: pages', subject?.pages, VAddr);
    const frames = checkRange('mapContract: frames', subject.frames, PAddr);
    const { mapper, alloc, look } = subject;
    if (!(mapper instanceof Map)) throw wrongKind('mapContract: mapper', mapper, 'a Map');
    this.mapper = mapper;
    this.alloc = alloc;
    this.virt = [...pages].slice(0, PAGES);
    this.phys = [...frames].slice(0, PAGES);
    const enough = this.virt.length === PAGES && this.phys.length === PAGES;
    holds(enough, `pages ${pages} and frames ${frames}; expected at least ${PAGES} of each`);
    this.look = (page) => look?.(this.virt[page]);
    this.watch('dealloc');
    this.watch('deallocRange');
  }

  /** Writes down what a method of the allocator is given. */
  private watch(method: 'dealloc' | 'deallocRange'): void {
    const alloc = this.alloc as Partial<Record<typeof method, (freed: unknown) => unknown>>;
    const original = alloc?.[method];
    if (typeof original !== 'function') return;
    alloc[method] = (freed) => {
      this.freed.push(String(freed));
      return original.call(alloc, freed);
    };
  }

  /** Maps a page to the physical page with a number, by default its own. */
  map(page: number, frame = page): Handle<S, E> {
    const handle = this.mapper.mapPage(this.virt[page], this.phys[frame], this.alloc);
    holds(handle instanceof Handle, `mapPage returned ${handle}; expected a Handle`);
    return handle;
  }

  /** Maps a page to its own physical page, with an allocator that has no frames. */
  mapWithoutFrames(page: number): Handle<S, E> {
    return this.mapper.mapPage(this.virt[page], this.phys[page], new EmptyAlloc() as unknown as A);
  }

  /** Maps pages, and commits them. */
  mapAll(...pages: readonly number[]): void {
    for (const page of pages) this.map(page).commit();
  }

  pages(first: number, last: number): PageRange<VAddr, S> {
    return new PageRange(this.virt[first], this.virt[last]);
  }

  mapRange(
    first: number,
    last: number,
    setFlags: (handle: Handle<S, E>) => void = () => {},
  ): PageRange<VAddr, S> {
    const frames = new PageRange(this.phys[first], this.phys[last]);
    return this.mapper.mapRange(this.pages(first, last), frames, setFlags, this.alloc);
  }

  /** Expects each page to be mapped to the physical page with a number, or not at all. Unmaps them. */
  expectMapped(...expected: readonly (number | undefined)[]): void {
    for (const [i, frame] of expected.entries()) {
      const must = frame === undefined ? undefined : this.phys[frame];
      const seen = this.look(i)?.phys;
      if (seen !== undefined) same(`${this.virt[i]} is mapped to`, seen, must);
      same(`${this.virt[i]} is unmapped from`, this.unmapped(this.virt[i]), must);
    }
  }

  /** The physical page from which a page could be unmapped, if it could. */
  unmapped(virt: Page<VAddr, S>): Page<PAddr, S> | undefined {
    let phys: Page<PAddr, S> | undefined;
    return thrownBy(() => {
      phys = this.mapper.unmap(virt);
    }) === undefined
      ? phys
      : undefined;
  }

  /** Expects commits of a page, if they can be seen. */
  expectCommits(page: number, commits: number): void {
    const seen = this.look(page)?.commits;
    if (seen !== undefined) same(`commits of ${this.virt[page]}:`, seen, commits);
  }

  /** Expects a call to throw, and returns what it throws. */
  refused(what: string, call: () => unknown): unknown {
    const error = thrownBy(call);
    holds(error !== undefined, `${what} did not throw; expected an error`);
    return error?.thrown;
  }
}

type Rule = <S extends Size, A, E extends PageFlags<S>>(trial: Trial<S, A, E>) => void;

const RULES: Readonly<Record<string, Rule>> = {
  'mapPage maps the page, and gives the handle of that page': (t) => {
    same('the handle is of', t.map(1).virtPage(), t.virt[1]);
    t.expectMapped(undefined, 1, undefined);
  },

  'a new page is present': (t) => {
    same('present:', t.map(0).isPresent(), true);
  },

  'setters of a handle count at once, and give the handle': (t) => {
    const handle = t.map(0);
    for (const present of [false, true]) {
      same('the same handle:', handle.setPresent(present) === handle, true);
      same('present:', handle.isPresent(), present);
    }
    for (const writable of [true, false]) {
      const given = handle.setExecutable(!writable).setWritable(writable);
      same('the same handle:', given === handle, true);
      same('writable:', handle.isWritable(), writable);
      same('executable:', handle.isExecutable(), !writable);
      const seen = t.look(0);
      if (seen !== undefined) same('writable, as seen:', seen.writable, writable);
      if (seen !== undefined) same('executable, as seen:', seen.executable, !writable);
    }
  },

  'a page is not committed before its handle is, which gives the page': (t) => {
    const handle = t.map(0);
    t.expectCommits(0, 0);
    same('commit gives', handle.commit(), t.virt[0]);
    t.expectCommits(0, 1);
  },

  'a handle that is dropped leaves the page mapped': (t) => {
    t.map(0);
    t.expectMapped(0);
  },

  'flags stay after the commit': (t) => {
    t.map(0).setExecutable(false).setWritable(true).commit();
    t.map(1).setWritable(false).setExecutable(true).commit();
    const flags = [0, 1].map((page) => t.mapper.flagsMut(t.virt[page]));
    same('writable:', flags.map((each) => each.isWritable()).join(), 'true,false');
    same('executable:', flags.map((each) => each.isExecutable()).join(), 'false,true');
  },

  'a page that is mapped cannot be mapped again, and stays as it is': (t) => {
    t.map(0).setExecutable(false).setWritable(true).commit();
    t.map(1);
    for (const page of [0, 1]) {
      for (const frame of [0, 1]) t.refused('mapPage of a page that is mapped', () => t.map(page, frame));
    }
    const flags = t.mapper.flagsMut(t.virt[0]);
    same('writable:', flags.isWritable(), true);
    same('executable:', flags.isExecutable(), false);
    t.expectMapped(0, 1);
  },

  'flagsMut gives the handle of a mapping, and changes nothing else': (t) => {
    for (const page of [0, 1]) t.map(page).setWritable(false).setExecutable(true).commit();
    const handle = t.mapper.flagsMut(t.virt[0]);
    same('writable:', handle.isWritable(), false);
    same('executable:', handle.isExecutable(), true);
    same('the handle is of', handle.virtPage(), t.virt[0]);
    handle.setExecutable(false).setWritable(true).commit();
    t.expectCommits(0, 2);
    const other = t.mapper.flagsMut(t.virt[1]);
    same('writable, of another page:', other.isWritable(), false);
    same('executable, of another page:', other.isExecutable(), true);
    t.expectMapped(0, 1);
  },

  'flagsMut refuses a page that is not mapped, and maps none': (t) => {
    t.mapAll(1);
    t.refused('flagsMut of a page that is not mapped', () => t.mapper.flagsMut(t.virt[0]));
    t.expectMapped(undefined, 1);
  },

  'unmap gives the physical page; then the page is not mapped, and others still are': (t) => {
    for (const page of [0, 1, 2]) t.map(page, 2 - page).commit();
    same('unmap gives', t.mapper.unmap(t.virt[1]), t.phys[1]);
    t.expectMapped(2, undefined, 0);
  },

  'unmap refuses a page that is not mapped': (t) => {
    t.mapAll(1);
    t.refused('unmap of a page that is not mapped', () => t.mapper.unmap(t.virt[0]));
    t.expectMapped(undefined, 1);
  },

  'a page that was unmapped can be mapped again': (t) => {
    t.mapAll(0);
    t.mapper.unmap(t.virt[0]);
    t.map(0, 1).commit();
    t.expectMapped(1);
  },

  'no call frees a physical page that is mapped, or was': (t) => {
    t.mapRange(0, 2);
    t.mapper.unmap(t.virt[0]);
    t.mapper.unmapRange(t.pages(1, 2));
    for (const phys of t.phys) {
      const freed = t.freed.find((each) => each.includes(String(phys)));
      holds(freed === undefined, `${freed} was given back to the allocator; expected no physical page`);
    }
  },

  'a physical page can be mapped by two pages that are read-only': (t) => {
    t.map(0).setWritable(false).commit();
    t.map(1, 0).setWritable(false).commit();
    t.expectMapped(0, 0);
  },

  'without frames for tables, a page is mapped, or nothing is': (t) => {
    const failed = thrownBy(() => t.mapWithoutFrames(0));
    if (failed !== undefined) t.mapAll(0);
    t.expectMapped(0, undefined);
  },

  'identityMap maps a physical page to the page with its address': (t) => {
    const virt = sameAddress(t.phys[1]);
    same('the handle is of', t.mapper.identityMap(t.phys[1], t.alloc).virtPage(), virt);
    same(`${virt} is unmapped from`, t.unmapped(virt), t.phys[1]);
  },

  'mapRange maps each page to its own physical page, and returns the pages': (t) => {
    same('mapRange returns', t.mapRange(0, 3), t.pages(0, 3));
    t.expectMapped(0, 1, 2, 3);
  },

  'mapRange maps a range of one page': (t) => {
    same('mapRange returns', t.mapRange(1, 1), t.pages(1, 1));
    t.expectMapped(undefined, 1, undefined);
  },

  'mapRange calls back once for each page, upwards, when it is mapped': (t) => {
    const called: string[] = [];
    t.mapRange(0, 2, (handle) => {
      called.push(String(handle.virtPage()));
      same('present in the callback:', handle.isPresent(), true);
      const seen = t.look(called.length - 1);
      if (seen !== undefined) same('mapped in the callback to', seen.phys, t.phys[called.length - 1]);
      same('a later page, in the callback:', t.look(called.length), undefined);
    });
    same('callbacks:', called.join('; '), t.virt.slice(0, 3).join('; '));
  },

  'mapRange commits each page once, after its callback and before the next page': (t) => {
    let page = 0;
    t.mapRange(0, 2, () => {
      if (page > 0) t.expectCommits(page - 1, 1);
      t.expectCommits(page, 0);
      page += 1;
    });
    for (const each of [0, 1, 2]) t.expectCommits(each, 1);
  },

  'flags that the callback of mapRange sets are those of its page': (t) => {
    t.mapRange(0, 2, (handle) => {
      const writable = handle.virtPage().equals(t.virt[1]);
      if (writable) handle.setExecutable(false).setWritable(true);
      else handle.setWritable(false).setExecutable(true);
    });
    const flags = [0, 1, 2].map((page) => t.mapper.flagsMut(t.virt[page]));
    same('writable:', flags.map((each) => each.isWritable()).join(), 'false,true,false');
    same('executable:', flags.map((each) => each.isExecutable()).join(), 'true,false,true');
  },

  'mapRange refuses ranges of different lengths before it maps anything': (t) => {
    for (const last of [1, 3]) {
      const frames = new PageRange(t.phys[0], t.phys[last]);
      const call = () => t.mapper.mapRange(t.pages(0, 2), frames, () => {}, t.alloc);
      t.refused(`mapRange of 3 pages to ${last + 1}`, call);
      t.expectMapped(undefined, undefined, undefined);
    }
  },

  'mapRange stops at a page that is mapped, and leaves those before it mapped and committed': (t) => {
    t.map(1, 3).commit();
    const called: string[] = [];
    t.refused('mapRange over a page that is mapped', () =>
      t.mapRange(0, 2, (handle) => called.push(String(handle.virtPage()))),
    );
    same('callbacks:', called.join('; '), String(t.virt[0]));
    t.expectCommits(0, 1);
    t.expectMapped(0, 3, undefined);
  },

  'an error of the callback of mapRange passes unchanged, and ends it': (t) => {
    const mine = new Error('thrown by the callback');
    const error = t.refused('mapRange with a callback that throws', () =>
      t.mapRange(0, 2, (handle) => {
        if (handle.virtPage().equals(t.virt[1])) throw mine;
      }),
    );
    holds(error === mine, `mapRange threw ${error}; expected what the callback threw`);
    t.unmapped(t.virt[1]);
    t.expectMapped(0, undefined, undefined);
  },

  'the callback of mapRange may neither commit nor map': (t) => {
    t.refused('commit in the callback', () => t.mapRange(0, 0, (handle) => void handle.commit()));
    t.refused('mapRange in the callback', () => t.mapRange(1, 1, () => void t.mapRange(2, 2)));
  },

  'identityMapRange maps each page to the page with its address, upwards, and returns them': (t) => {
    const virt = t.phys.slice(0, 3).map(sameAddress);
    const called: string[] = [];
    const setFlags = (handle: Handle) => void called.push(String(handle.virtPage()));
    const frames = new PageRange(t.phys[0], t.phys[2]);
    const given = t.mapper.identityMapRange(frames, setFlags, t.alloc);
    same('identityMapRange returns', given, new PageRange(virt[0], virt[2]));
    same('callbacks:', called.join('; '), virt.join('; '));
    for (const [i, page] of virt.entries()) same(`${page} is unmapped from`, t.unmapped(page), t.phys[i]);
  },

  'unmapRange unmaps pages, whatever physical pages they have': (t) => {
    for (const page of [0, 1, 2, 3]) t.map(page, 3 - page).commit();
    t.mapper.unmapRange(t.pages(0, 2));
    t.expectMapped(undefined, undefined, undefined, 0);
  },

  'unmapRange stops at the first page that is not mapped, and leaves the pages behind it': (t) => {
    t.mapAll(0, 1, 3);
    t.refused('unmapRange over a page that is not mapped', () => t.mapper.unmapRange(t.pages(0, 3)));
    t.expectMapped(undefined, undefined, undefined, 3);
  },

  'unmapRange of a range that ends before it starts does nothing': (t) => {
    t.mapAll(0, 1, 2);
    t.mapper.unmapRange(t.pages(2, 0));
    t.expectMapped(0, 1, 2);
  },
};

/** The linear page with the address of a physical one. */
function sameAddress<S extends Size>(phys: Page<PAddr, S>): Page<VAddr, S> {
  return Page.startingAt(VAddr.fromUsize(phys.baseAddr().asUsize()), phys.size());
}

/** What a call throws, in an object, as it may be anything. */
function thrownBy(call: () => unknown): { readonly thrown: unknown } | undefined {
  try {
    call();
  } catch (thrown) {
    return { thrown };
  }
  return undefined;
}

/** Expects two values to have the same text: pages and ranges of pages have all that they are in it. */
function same(what: string, found: unknown, expected: unknown): void {
  holds(String(found) === String(expected), `${what} ${found}; expected ${expected}`);
}

function holds(condition: boolean, message: string): asserts condition {
  if (!condition) throw new ContractViolation(message);
}
