import { PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { PAddr, VAddr } from './addr.ts';
import type { Alloc } from './alloc.ts';
import { checkHandle, type Handle, type PageFlags } from './handle.ts';
import { checkPage, checkRange, Page, type PageRange } from './page.ts';
import { REENTRY, Reentry } from './reentry.ts';
import type { Size } from './size.ts';

/**
 * Maps pages of linear addresses to physical pages. The name hides JavaScript's own `Map` where it is imported: write
 * `import { Map as PageMap }`, or `globalThis.Map`. To make a mapper, extend this with the three methods for single
 * pages; `mapContract` of `tablewalk/hal-core/contract` then tells whether they keep what is promised here.
 *
 * `S` is the size of the pages, or all sizes that it takes; `A` the allocator that gives frames for tables (never for
 * what is mapped); `E` the entry.
 */
export abstract class Map<S extends Size = Size, A = Alloc<S>, E extends PageFlags<S> = PageFlags<S>> {
  /** @internal Of this mapper, and of all that edit the same tables. */
  readonly [REENTRY]: Reentry;

  constructor();
  /** @internal */
  constructor(reentry: Reentry);
  constructor(reentry = new Reentry()) {
    this[REENTRY] = reentry;
  }

  /**
   * Maps a page. It is mapped, and present, at once; nothing is flushed before the handle is committed. Whether it may be written or
   * executed is up to the mapper until the handle is told. A call that throws has mapped nothing.
   *
   * @param virt - a page that is not mapped
   * @param phys - what it is to be mapped to; pages that are read-only may share it
   * @param frameAlloc - gives frames for tables that are missing
   * @returns the page's entry
   * @throws {@link PageTableError} `ALREADY_MAPPED`, whatever it is mapped to, committed or not
   */
  abstract mapPage(virt: Page<VAddr, S>, phys: Page<PAddr, S>, frameAlloc: A): Handle<S, E>;

  /**
   * The entry of a page that is mapped, to change it.
   *
   * @throws {@link PageTableError} `NOT_MAPPED`
   */
  abstract flagsMut(virt: Page<VAddr, S>): Handle<S, E>;

  /**
   * Unmaps a page. No frame is freed, neither the page's nor a table's.
   *
   * @returns the physical page to which it was mapped
   * @throws {@link PageTableError} `NOT_MAPPED`
   */
  abstract unmap(virt: Page<VAddr, S>): Page<PAddr, S>;

  /**
   * Maps a physical page to the page with the same address, as {@link mapPage}.
   *
   * @throws {@link InvalidAddress} if there is no such page
   */
  identityMap<P extends S>(phys: Page<PAddr, P>, frameAlloc: A): Handle<S, E> {
    return this.mapPage(sameAddress('identityMap', phys), phys, frameAlloc);
  }

  /**
   * Maps pages one by one, in ascending order: each is mapped, `setFlags` is called, and it is committed.
   *
   * What fails on the way leaves the pages before it mapped and committed: the error's `detail` has their number as `done`,
   * and the address of the page at which it stopped as `page`; its `cause` is what the mapper threw. An error of `setFlags` passes
   * unchanged, and leaves its own page mapped too.
   *
   * @param virt - pages that are not mapped
   * @param phys - what they are to be mapped to; as many, of the same size
   * @param setFlags - may change the flags of a page; `Handle.virtPage` tells which it is. It must not commit, nor call the mapper
   * @param frameAlloc - gives frames for tables that are missing
   * @returns `virt`
   * @throws {@link PageTableError} `BAD_ARGUMENT` if numbers or sizes of pages differ; `OUT_OF_RANGE` if a range ends before
   *   it starts, both before anything is mapped; all that {@link mapPage} throws
   */
  mapRange<P extends S>(
    virt: PageRange<VAddr, P>,
    phys: PageRange<PAddr, P>,
    setFlags: (handle: Handle<S, E>) => void,
    frameAlloc: A,
  ): PageRange<VAddr, P> {
    checkRange('mapRange', virt, VAddr);
    checkRange('mapRange', phys, PAddr);
    if (typeof setFlags !== 'function') throw wrongKind('mapRange', setFlags, 'a function that sets flags');
    this[REENTRY].refuse('mapRange');
    expectSame('pages', virt, virt.len(), phys, phys.len());
    expectSame('bytes', virt, virt.size(), phys, phys.size());
    const progress = new Progress('mapRange', 'mapped', virt);
    const start = phys.start();
    for (const page of virt) {
      const handle = progress.step(() => {
        return checkHandle('mapPage', this.mapPage(page, start.add(progress.done), frameAlloc));
      });
      this[REENTRY].run('the callback of mapRange', () => handle.lendTo(setFlags));
      progress.step(() => handle.commit());
      progress.done += 1;
    }
    return virt;
  }

  /**
   * Unmaps pages one by one, in ascending order. They need not be mapped to physical pages that lie one after the other. A range
   * that ends before it starts has none.
   *
   * @throws {@link PageTableError} all that {@link unmap} throws, with `done` and `page` as in {@link mapRange}
   */
  unmapRange(virt: PageRange<VAddr, S>): void {
    checkRange('unmapRange', virt, VAddr);
    this[REENTRY].refuse('unmapRange');
    const progress = new Progress('unmapRange', 'unmapped', virt);
    const pages = virt[Symbol.iterator]();
    for (;;) {
      const { done, value: page } = progress.step(() => pages.next());
      if (done === true) return;
      progress.step(() => this.unmap(page));
      progress.done += 1;
    }
  }

  /**
   * Maps physical pages to the pages with the same addresses, as {@link mapRange}.
   *
   * @returns those pages
   * @throws {@link InvalidAddress} if there are no such pages, before anything is mapped
   */
  identityMapRange<P extends S>(
    phys: PageRange<PAddr, P>,
    setFlags: (handle: Handle<S, E>) => void,
    frameAlloc: A,
  ): PageRange<VAddr, P> {
    checkRange('identityMapRange', phys, PAddr);
    const start = sameAddress('identityMapRange', phys.start());
    const end = sameAddress('identityMapRange', phys.end());
    return this.mapRange(start.rangeInclusive(end), phys, setFlags, frameAlloc);
  }
}

/** How far a call for a range has come. */
class Progress {
  /** Pages that are done. */
  done = 0;
  private readonly operation: string;
  private readonly verb: string;
  private readonly range: PageRange;

  constructor(operation: string, verb: string, range: PageRange) {
    this.operation = operation;
    this.verb = verb;
    this.range = range;
  }

  /** Makes a step; if it fails, the error says how far the call had come. */
  step<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      if (!(error instanceof PageTableError)) throw error;
      const page = this.range.start().add(this.done);
      throw new PageTableError(
        error.code,
        `${this.operation}: stopped at ${page}, with ${this.done} pages ${this.verb} before it: ${error.message}`,
        { ...error.detail, done: this.done, page: page.baseAddr().asUsize() },
        { cause: error },
      );
    }
  }
}

/** The linear page with the address of a physical one. */
function sameAddress<S extends Size>(operation: string, phys: Page<PAddr, S>): Page<VAddr, S> {
  checkPage(operation, phys, PAddr);
  return Page.containing(VAddr.fromUsize(phys.baseAddr().asUsize()), phys.size());
}

function expectSame(unit: string, virt: PageRange, left: bigint, phys: PageRange, right: bigint): void {
  if (left === right) return;
  throw new PageTableError(
    'BAD_ARGUMENT',
    `mapRange: ${left} ${unit} in ${virt} and ${right} in ${phys}; expected ranges of equal length and size`,
    { virt: left, phys: right },
  );
}
