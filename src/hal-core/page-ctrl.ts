import { hex, PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { PAddr, VAddr } from './addr.ts';
import { type Alloc, checkAlloc } from './alloc.ts';
import { Edit } from './edit.ts';
import { type Entry, linked, TABLE_NAMES } from './entry.ts';
import { TranslateError } from './errors.ts';
import { Handle } from './handle.ts';
import { Map } from './map.ts';
import { checkPage, Page } from './page.ts';
import { invalidate } from './processor.ts';
import { REENTRY, type Reentry } from './reentry.ts';
import { Size1Gb, Size2Mb, Size4Kb, type StaticSize } from './size.ts';
import { PML4_WINDOW, type Tables, windowOf } from './tables.ts';

/** Pages by the level of the table whose entries map them. */
const SIZES: readonly (StaticSize | undefined)[] = [undefined, Size4Kb, Size2Mb, Size1Gb];

/**
 * The active page tables of a processor, with pages of 4 KiB, 2 MiB and 1 GiB. The PML4 is seen in the window of physical memory, all
 * other tables through its entry 511, which `Mm.initPaging` sets.
 *
 * All calls throw `NOT_ACTIVE` while CR3 names another PML4 than when `Mm.current` was called: what is seen then are other tables.
 *
 * A call that throws has changed nothing, and has given back all frames that it took. Where the processor fails again while entries are
 * put back, the others still are; frames that may be linked then are kept. Bit 7 of an entry above pages of 4 KiB
 * means a page: nothing below it is ever taken for a table.
 */
export class PageCtrl extends Map<StaticSize, Alloc<Size4Kb>, Entry> {
  private readonly tables: Tables;

  /** @internal Use `Mm.current`. */
  constructor(tables: Tables, reentry: Reentry) {
    super(reentry);
    this.tables = tables;
  }

  /**
   * Maps a page: the entry gets address and presence, bit 7 if it is a large one, and keeps all other bits. From an entry that is
   * all zero, the page is read-only, executable and for the supervisor only. Tables that are missing are made, writable;
   * those that are there become writable, and INVLPG is executed for the page.
   *
   * @param virt - a page that is not mapped
   * @param phys - of the same size
   * @param frameAlloc - gives frames for missing tables, first that of the highest one; all are taken before anything is written
   * @returns the page's entry; its `commit` executes INVLPG
   * @throws {@link PageTableError} `ALREADY_MAPPED`; `HUGE_PAGE` where a larger page is mapped, or bit 7 is left in an entry that
   *   is not present; `OUT_OF_FRAMES`; `BAD_ARGUMENT` for other sizes, and if the allocator gives what is no frame, a table on the
   *   way to the page, or a frame twice; {@link ProcessorFault} if a table cannot be reached
   */
  override mapPage<S extends StaticSize>(
    virt: Page<VAddr, S>,
    phys: Page<PAddr, S>,
    frameAlloc: Alloc<Size4Kb>,
  ): Handle<S, Entry> {
    const { address, size } = this.checked('mapPage', virt);
    const target = physical('mapPage', phys, size);
    checkAlloc('mapPage', frameAlloc);
    return this.run('mapPage', () => {
      const missing = this.missing(virt, address, size.level);
      const frames = this.take(missing, address, size.level, virt, frameAlloc);
      return Edit.run(
        (edit) => {
          this.openTables(edit, address, size.level + missing);
          frames.forEach((frame, i) => {
            this.link(edit, address, size.level + missing - i, frame);
          });
          const leaf = this.tables.entry(size.level, address);
          const bits = linked(leaf.bits(), target, size === Size4Kb ? 'page' : 'huge page');
          edit.store(leaf, bits, () => this.flush(address));
          return new Handle(virt, leaf);
        },
        (error) => withFramesBack(error, frames, frameAlloc),
      );
    });
  }

  /**
   * The entry of a page that is mapped, to change it. Tables on the way become writable, as with {@link mapPage}.
   *
   * @returns the entry; its `commit` executes INVLPG
   * @throws {@link TranslateError}; {@link PageTableError} `BAD_ARGUMENT` for the PML4, seen as a page, and for other sizes
   */
  override flagsMut<S extends StaticSize>(virt: Page<VAddr, S>): Handle<S, Entry> {
    const { address, size } = this.checked('flagsMut', virt);
    refuseLoop('flagsMut', virt, address);
    return this.run('flagsMut', () => {
      const leaf = this.find('flagsMut', virt, address, size);
      return Edit.run((edit) => {
        this.openTables(edit, address, size.level);
        return new Handle(virt, leaf);
      });
    });
  }

  /**
   * Unmaps a page: its entry becomes all zero, and INVLPG is executed for it. Tables stay, and become writable as with {@link mapPage}.
   *
   * @returns the physical page to which it was mapped
   * @throws {@link TranslateError}; {@link PageTableError} `INVALID_FRAME` as {@link translatePage}; `BAD_ARGUMENT` for the
   *   PML4, seen as a page, and for other sizes
   */
  override unmap<S extends StaticSize>(virt: Page<VAddr, S>): Page<PAddr, S> {
    const { address, size } = this.checked('unmap', virt);
    refuseLoop('unmap', virt, address);
    return this.run('unmap', () => {
      const leaf = this.find('unmap', virt, address, size);
      const phys = pageOfEntry('unmap', leaf, virt.size());
      return Edit.run((edit) => {
        this.openTables(edit, address, size.level);
        edit.store(leaf, 0n, () => {});
        this.flush(address);
        return phys;
      });
    });
  }

  /**
   * The physical page to which a page is mapped.
   *
   * @throws {@link TranslateError} `NotMapped`; `WrongSize` where a page of another size is mapped, or smaller ones may be, and in
   *   a PT where bit 7 (PAT) is set; `Other` for a PML4 entry with bit 7. {@link PageTableError} `INVALID_FRAME` if the
   *   address in the entry is not a multiple of the size: bit 12 of a large page is its PAT bit
   */
  translatePage<S extends StaticSize>(virt: Page<VAddr, S>): Page<PAddr, S> {
    const { address, size } = this.checked('translatePage', virt);
    return this.run('translatePage', () =>
      pageOfEntry('translatePage', this.find('translatePage', virt, address, size), virt.size()),
    );
  }

  /**
   * The physical address to which an address is mapped, by a page of any size; `undefined` if it is not mapped.
   *
   * @throws {@link InvalidAddress} if it is not canonical; {@link TranslateError} `Other` and `INVALID_FRAME` as {@link translatePage}
   */
  translateAddr(addr: VAddr): PAddr | undefined {
    if (!(addr instanceof VAddr)) throw wrongKind('translateAddr', addr, 'a VAddr');
    const address = VAddr.fromUsize(addr.asUsize()).asUsize();
    return this.run('translateAddr', () => {
      for (let level = 4; level > 0; level -= 1) {
        const entry = this.tables.entry(level, address);
        if (!entry.isPresent()) return undefined;
        const size = level === 1 || entry.isHuge() ? this.sizeAt('translateAddr', addr, entry) : undefined;
        if (size === undefined) continue;
        return pageOfEntry('translateAddr', entry, size)
          .baseAddr()
          .add(address & (size.SIZE - 1n));
      }
      return undefined;
    });
  }

  /** Makes a call, if these are the active tables. */
  private run<T>(operation: string, call: () => T): T {
    return this[REENTRY].run(operation, () => {
      this.tables.expectActive(operation);
      return call();
    });
  }

  /** The entry that maps a page, after all checks that can be made without writing. */
  private find(operation: string, virt: Page<VAddr>, address: bigint, size: StaticSize): Entry {
    for (let level = 4; ; level -= 1) {
      const entry = this.tables.entry(level, address);
      if (!entry.isPresent()) {
        throw new TranslateError('NotMapped', `${operation}: ${virt} is not mapped: ${entry} is not present`);
      }
      // At the page's own level, bit 7 says that it is a large page; in a PT it must be clear.
      const expected = level === size.level && size !== Size4Kb;
      if (entry.isHuge() !== expected) {
        const mappedSize = expected ? undefined : this.sizeAt(operation, virt, entry);
        const found = expected ? 'leads to a table' : `has bit 7, as a page of ${mappedSize} has`;
        const wanted = expected
          ? `one that maps a page of ${size}`
          : `no such bit on the way to a page of ${size}`;
        throw new TranslateError(
          'WrongSize',
          `${operation}: ${virt}: ${entry} ${found}; expected ${wanted}`,
          { size, mappedSize },
        );
      }
      if (level === size.level) return entry;
    }
  }

  /** The size of the page that an entry with bit 7, or one of a PT, maps. */
  private sizeAt(operation: string, where: Page<VAddr> | VAddr, entry: Entry): StaticSize {
    const size = SIZES[entry.level];
    if (size !== undefined) return size;
    throw new TranslateError(
      'Other',
      `${operation}: ${where}: ${entry} has bit 7, which is reserved there; expected an entry that leads to a table`,
    );
  }

  /**
   * How many tables are missing on the way to a page that is to be mapped.
   *
   * @param leaf - level of the table whose entry maps it
   * @throws {@link PageTableError} if it cannot be mapped
   */
  private missing(virt: Page<VAddr>, address: bigint, leaf: number): number {
    for (let level = 4; level > leaf; level -= 1) {
      const entry = this.tables.entry(level, address);
      if (entry.isHuge()) {
        const next = TABLE_NAMES[level - 1];
        throw new PageTableError(
          level === 4 ? 'CORRUPT_TABLE' : 'HUGE_PAGE',
          `mapPage: ${virt} has no ${next}: ${entry} has bit 7 (HUGE); expected an entry that leads to a ${next}, or is free for one`,
          { entry: entry.bits() },
        );
      }
      if (!entry.isPresent()) return level - leaf;
    }
    const entry = this.tables.entry(leaf, address);
    if (entry.isPresent()) {
      throw new PageTableError(
        'ALREADY_MAPPED',
        `mapPage: ${virt} is in use: ${entry}; expected a page that is not mapped`,
        { entry: entry.bits() },
      );
    }
    if (leaf === 1 && entry.isHuge()) {
      throw new PageTableError(
        'HUGE_PAGE',
        `mapPage: ${virt}: ${entry} has bit 7 (HUGE); expected a PT entry without it`,
        { entry: entry.bits() },
      );
    }
    return 0;
  }

  /** Takes the frames for missing tables, or none. None may be a table on the way: that would be cleared. */
  private take(
    missing: number,
    address: bigint,
    leaf: number,
    virt: Page<VAddr>,
    frameAlloc: Alloc<Size4Kb>,
  ): Page<PAddr, Size4Kb>[] {
    const frames: Page<PAddr, Size4Kb>[] = [];
    const tables = [this.tables.root];
    for (let level = 4; missing > 0 && level > leaf + missing; level -= 1) {
      tables.push(this.tables.entry(level, address).physAddr().asUsize());
    }
    while (frames.length < missing) {
      const table = TABLE_NAMES[leaf + missing - 1 - frames.length];
      try {
        const frame = frameAlloc.alloc(Size4Kb);
        const gave = 'the allocator gave';
        const start = physical(gave, frame, Size4Kb).asUsize();
        const inUse = tables.indexOf(start);
        frames.push(frame);
        tables.push(start);
        if (inUse >= 0) {
          throw wrongKind(
            gave,
            frame,
            `a frame that is not in use: this one is the ${TABLE_NAMES[4 - inUse]}`,
          );
        }
      } catch (error) {
        const failed =
          error instanceof PageTableError
            ? new PageTableError(
                error.code,
                `mapPage: no frame for the ${table} of ${virt}: ${error.message}`,
                error.detail,
                { cause: error },
              )
            : error;
        throw withFramesBack(failed, frames, frameAlloc);
      }
    }
    return frames;
  }

  /** Makes an entry lead to a new table, and clears that where it is seen then. */
  private link(edit: Edit, address: bigint, level: number, frame: Page<PAddr, Size4Kb>): void {
    const { processor } = this.tables;
    const entry = this.tables.entry(level, address);
    edit.store(entry, linked(entry.bits(), frame.baseAddr(), 'table'), () =>
      this.flush(windowOf(level - 1, address)),
    );
    // At most 2^40 frames.
    processor.detector?.frameAllocated(Number(frame.baseAddr().asUsize() >> 12n));
    this.tables.clear(level - 1, address);
  }

  /** Makes the tables above a level writable. */
  private openTables(edit: Edit, address: bigint, above: number): void {
    for (let level = 4; level > above; level -= 1) {
      const entry = this.tables.entry(level, address);
      if (entry.isWritable()) continue;
      edit.store(entry, linked(entry.bits(), entry.physAddr(), 'table'), () => this.flush(address));
      this.flush(address);
    }
  }

  private flush(address: bigint): void {
    invalidate(this.tables.processor, address);
  }

  /** The address and the size of a page that tables can map. */
  private checked(operation: string, virt: Page<VAddr, StaticSize>): { address: bigint; size: StaticSize } {
    const size = checkPage(operation, virt, VAddr).size();
    if (!SIZES.includes(size)) {
      throw wrongKind(operation, virt, 'a page of Size4Kb, Size2Mb or Size1Gb (AnySize is none of them)');
    }
    // A page can start at an address that was made without a check.
    return { address: VAddr.fromUsize(virt.baseAddr().asUsize()).asUsize(), size };
  }
}

/** The address of a physical page of a size. */
function physical(operation: string, phys: Page<PAddr>, size: StaticSize): PAddr {
  if (checkPage(operation, phys, PAddr).size() !== size) {
    throw wrongKind(operation, phys, `a physical page of ${size}`);
  }
  return PAddr.fromUsize(phys.baseAddr().asUsize());
}

/** The page to which an entry points. */
function pageOfEntry<S extends StaticSize>(operation: string, entry: Entry, size: S): Page<PAddr, S> {
  const address = entry.physAddr();
  if (address.isAligned(size.SIZE)) return Page.startingAt(address, size);
  throw new PageTableError(
    'INVALID_FRAME',
    `${operation}: ${entry} maps a page of ${size}; expected an address that is a multiple of ${hex(size.SIZE)}`,
    { entry: entry.bits() },
  );
}

/** Refuses to change the entry through which all tables are seen. */
function refuseLoop(operation: string, virt: Page<VAddr>, address: bigint): void {
  if (address !== PML4_WINDOW) return;
  throw new PageTableError(
    'BAD_ARGUMENT',
    `${operation}: ${virt} is the PML4, mapped by the entry that points back to it; expected a page that is no table`,
    { page: address },
  );
}

/** Gives frames back, last first. Returns the error that is to be thrown, which says so if some are not taken back. */
function withFramesBack(
  error: unknown,
  frames: readonly Page<PAddr, Size4Kb>[],
  frameAlloc: Alloc<Size4Kb>,
): unknown {
  const lost: unknown[] = [];
  for (const frame of frames.toReversed()) {
    try {
      frameAlloc.dealloc(frame);
    } catch (refusal) {
      lost.push(refusal);
    }
  }
  if (lost.length === 0 || !(error instanceof PageTableError)) return error;
  return new PageTableError(
    error.code,
    `${error.message}; ${lost.length} frames were not taken back: ${lost[0]}`,
    { ...error.detail, lost: lost.length },
    { cause: error },
  );
}
