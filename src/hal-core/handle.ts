import { PageTableError } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { VAddr } from './addr.ts';
import { checkPage, type Page } from './page.ts';
import type { Size } from './size.ts';

/** The entry of one page, in place: what is set is set in the table at once. */
export interface PageFlags<S extends Size = Size> {
  /** Whether the page may be written. */
  setWritable(writable: boolean): void;
  /** Whether instructions may be fetched from the page. */
  setExecutable(executable: boolean): void;
  /** Whether the page is there at all. */
  setPresent(present: boolean): void;
  /** Whether the page may be written. */
  isWritable(): boolean;
  /** Whether instructions may be fetched from the page. */
  isExecutable(): boolean;
  /** Whether the page is there at all. */
  isPresent(): boolean;
  /** Makes the processor notice what was set. */
  commit(page: Page<VAddr, S>): void;
}

const METHODS = [
  'setWritable',
  'setExecutable',
  'setPresent',
  'isWritable',
  'isExecutable',
  'isPresent',
  'commit',
] as const satisfies readonly (keyof PageFlags)[];

/**
 * The entry of a page that was mapped, or is to be changed. Setters act on the table at once and return the handle;
 * {@link commit} makes the processor notice, and ends the handle. Without it, mapping and flags stay, and are not flushed.
 */
export class Handle<S extends Size = Size, E extends PageFlags<S> = PageFlags<S>> {
  private readonly page: Page<VAddr, S>;
  private readonly entry: E;
  private state: 'open' | 'lent' | 'committed' = 'open';

  /**
   * @param page - to which the entry belongs
   * @param entry - of the table itself, no copy
   */
  constructor(page: Page<VAddr, S>, entry: E) {
    this.page = checkPage('Handle', page, VAddr);
    this.entry = entry;
    for (const method of METHODS) {
      if (typeof entry?.[method] !== 'function') {
        throw wrongKind('Handle', entry, `an entry (PageFlags), which has ${method}`);
      }
    }
  }

  /** The page that was mapped, or is to be changed. */
  virtPage(): Page<VAddr, S> {
    return this.page;
  }

  /**
   * Allows or forbids writing.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT` after {@link commit}
   */
  setWritable(writable: boolean): this {
    this.open('setWritable').setWritable(booleanOf('setWritable', writable));
    return this;
  }

  /** Allows or forbids fetching instructions, as {@link setWritable}. */
  setExecutable(executable: boolean): this {
    this.open('setExecutable').setExecutable(booleanOf('setExecutable', executable));
    return this;
  }

  /** Makes the page be there or not, as {@link setWritable}. */
  setPresent(present: boolean): this {
    this.open('setPresent').setPresent(booleanOf('setPresent', present));
    return this;
  }

  /** Whether the page may be written. Throws as {@link setWritable}. */
  isWritable(): boolean {
    return this.open('isWritable').isWritable();
  }

  /** Whether instructions may be fetched from the page. Throws as {@link setWritable}. */
  isExecutable(): boolean {
    return this.open('isExecutable').isExecutable();
  }

  /** Whether the page is there at all. Throws as {@link setWritable}. */
  isPresent(): boolean {
    return this.open('isPresent').isPresent();
  }

  /**
   * Makes the processor notice what was set, and ends the handle.
   *
   * @returns the page
   * @throws {@link PageTableError} `BAD_ARGUMENT` the second time, and in the callback of a range, which commits itself
   */
  commit(): Page<VAddr, S> {
    const entry = this.open('commit');
    if (this.state === 'lent') {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `commit: ${this.page} is in the callback of a range; expected none: the range commits after the callback`,
      );
    }
    this.state = 'committed';
    entry.commit(this.page);
    return this.page;
  }

  /** @internal Lends the handle to a callback, which may not commit it. */
  lendTo(callback: (handle: this) => void): void {
    this.open('set flags');
    this.state = 'lent';
    try {
      callback(this);
    } finally {
      this.state = 'open';
    }
  }

  private open(operation: string): E {
    if (this.state !== 'committed') return this.entry;
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${operation}: the handle of ${this.page} was committed; expected one that was not: flagsMut makes another`,
    );
  }

  /** The original's debug text. */
  toString(): string {
    return `Handle { page: ${this.page}, entry: ${this.entry} }`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** Refuses what a mapper returned if that is no handle. */
export function checkHandle<H extends Handle>(operation: string, handle: H): H {
  if (handle instanceof Handle) return handle;
  throw wrongKind(`${operation} returned`, handle, 'a Handle');
}

function booleanOf(operation: string, value: boolean): boolean {
  if (typeof value === 'boolean') return value;
  throw wrongKind(operation, value, 'true or false');
}
