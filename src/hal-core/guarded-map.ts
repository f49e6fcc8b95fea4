import { PageTableError } from '../bits/index.ts';
import { wrongKind } from '../bits/wrong-kind.ts';
import { PAddr, type VAddr } from './addr.ts';
import type { Alloc } from './alloc.ts';
import { checkHandle, Handle, type PageFlags } from './handle.ts';
import { Map } from './map.ts';
import { checkPage, type Page } from './page.ts';
import { type KnownMapping, PhysicalIndex } from './physical-index.ts';
import { REENTRY } from './reentry.ts';
import type { Size } from './size.ts';

/** A mapping that a {@link GuardedMap} does not allow. */
export class UnsafeMapping extends PageTableError {
  override readonly name: string = 'UnsafeMapping';
  /** What is wrong with it. */
  readonly kind: 'WritableAndExecutable' | 'WritableAlias';
  /** The page that was to be mapped, or changed. */
  readonly virt: Page<VAddr>;
  /** `WritableAlias`: the page that maps the same memory. */
  readonly other: Page<VAddr> | undefined;

  /**
   * @param kind - what is wrong with it
   * @param message - both pages, and what they are mapped to
   * @param virt - the page that was to be mapped, or changed
   * @param other - the page that maps the same memory
   */
  constructor(kind: UnsafeMapping['kind'], message: string, virt: Page<VAddr>, other?: Page<VAddr>) {
    const others = other === undefined ? {} : { other: other.baseAddr().asUsize() };
    super('UNSAFE_MAPPING', message, { virt: virt.baseAddr().asUsize(), ...others });
    this.kind = kind;
    this.virt = virt;
    this.other = other;
  }
}

/** What is asked of an entry. */
type Flags = Pick<KnownMapping, 'writable' | 'executable' | 'present'>;

/**
 * A mapper that keeps two rules of thumb of the original's documentation: no page is writable and executable, and no memory is mapped
 * twice, with pages of whatever sizes, if one of the two is writable.
 *
 * A setter that would break a rule is held back: the entry stays as it is until other setters make it safe. A commit of
 * what is not safe is refused; a page that was new is then not mapped, and another one has the flags it had before, unless another mapping
 * forbids these by now. `mapPage`, `flagsMut` and `unmap` of a page end its older handles: all their methods are refused
 * (`BAD_ARGUMENT`). Pages that are not present are no aliases. What was mapped without it is not known to it: of such pages only the first rule is checked.
 */
export class GuardedMap<
  S extends Size = Size,
  A = Alloc<S>,
  E extends PageFlags<S> = PageFlags<S>,
> extends Map<S, A, PageFlags<S>> {
  private readonly inner: Map<S, A, E>;
  private readonly known = new PhysicalIndex();
  /** The entry of the latest handle, if it was not committed, by the text of the page. */
  private readonly open: OpenEntries<S> = new globalThis.Map();

  /** @param inner - does the mapping; nobody else should use it */
  constructor(inner: Map<S, A, E>) {
    if (!(inner instanceof Map)) throw wrongKind('GuardedMap', inner, 'a Map');
    super(inner[REENTRY]);
    this.inner = inner;
  }

  /**
   * Maps a page, as the mapper inside.
   *
   * @throws {@link UnsafeMapping} `WritableAlias` if a writable page maps the same memory, before anything is mapped; and with
   *   the commit
   */
  override mapPage(virt: Page<VAddr, S>, phys: Page<PAddr, S>, frameAlloc: A): Handle<S, PageFlags<S>> {
    checkPage('mapPage', phys, PAddr);
    const least = { writable: false, executable: false, present: true };
    const refused = unsafeAlias('mapPage', virt, phys, least, this.known);
    if (refused !== undefined) throw refused;
    const handle = checkHandle('mapPage', this.inner.mapPage(virt, phys, frameAlloc));
    const mapping = { virt, phys, ...flagsOf(handle) };
    this.known.add(mapping);
    const undo = () => void this.unmap(virt);
    return new Handle(virt, new GuardedEntry(handle, mapping, this.known, this.open, undo));
  }

  override flagsMut(virt: Page<VAddr, S>): Handle<S, PageFlags<S>> {
    const handle = checkHandle('flagsMut', this.inner.flagsMut(virt));
    return new Handle(virt, new GuardedEntry(handle, this.known.get(virt), this.known, this.open));
  }

  override unmap(virt: Page<VAddr, S>): Page<PAddr, S> {
    const phys = this.inner.unmap(virt);
    this.known.delete(virt);
    this.open.delete(String(virt));
    return phys;
  }
}

type OpenEntries<S extends Size> = globalThis.Map<string, GuardedEntry<S>>;

/** An entry that is never set to what is not safe. */
class GuardedEntry<S extends Size> implements PageFlags<S> {
  private readonly handle: Handle<S, PageFlags<S>>;
  /** `undefined` for a page that was mapped without the guard. */
  private readonly mapping: KnownMapping | undefined;
  private readonly known: PhysicalIndex;
  private readonly open: OpenEntries<S>;
  /** Takes a mapping that is new back. */
  private readonly undo: (() => void) | undefined;
  private readonly before: Flags;
  private asked: Flags;

  constructor(
    handle: Handle<S, PageFlags<S>>,
    mapping: KnownMapping | undefined,
    known: PhysicalIndex,
    open: OpenEntries<S>,
    undo?: () => void,
  ) {
    this.handle = handle;
    this.mapping = mapping;
    this.known = known;
    this.open = open;
    this.undo = undo;
    this.before = flagsOf(handle);
    this.asked = this.before;
    // An entry can come with rights: of a mapper that gives some, or from a mapping that was made not present.
    if (undo !== undefined && this.unsafe('mapPage') !== undefined) {
      this.set({ ...this.asked, writable: false });
    }
    open.set(String(handle.virtPage()), this);
  }

  isWritable(): boolean {
    return this.latest('isWritable').asked.writable;
  }

  isExecutable(): boolean {
    return this.latest('isExecutable').asked.executable;
  }

  isPresent(): boolean {
    return this.latest('isPresent').asked.present;
  }

  setWritable(writable: boolean): void {
    this.latest('setWritable').ask({ ...this.asked, writable });
  }

  setExecutable(executable: boolean): void {
    this.latest('setExecutable').ask({ ...this.asked, executable });
  }

  setPresent(present: boolean): void {
    this.latest('setPresent').ask({ ...this.asked, present });
  }

  commit(): void {
    const unsafe = this.latest('commit').unsafe('commit');
    this.open.delete(String(this.handle.virtPage()));
    if (unsafe !== undefined && this.undo !== undefined) {
      // A page that is not present cannot be unmapped.
      this.set({ writable: false, executable: false, present: true });
      this.undo();
      throw unsafe;
    }
    this.ask(unsafe === undefined ? this.asked : this.before);
    this.handle.commit();
    if (unsafe !== undefined) throw unsafe;
  }

  /** Refuses if the handle is not the latest one of its page: what it knows of the entry may be no longer so. */
  private latest(operation: string): this {
    const virt = this.handle.virtPage();
    if (this.open.get(String(virt)) === this) return this;
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${operation}: mapPage, flagsMut or unmap of ${virt} came after this handle of it; expected the latest one`,
    );
  }

  private ask(flags: Flags): void {
    this.asked = flags;
    if (this.unsafe('') === undefined) this.set(flags);
  }

  /** Why what is asked for is not safe. */
  private unsafe(operation: string): UnsafeMapping | undefined {
    const virt = this.handle.virtPage();
    const { asked, mapping } = this;
    if (asked.writable && asked.executable) {
      return new UnsafeMapping(
        'WritableAndExecutable',
        `${operation}: ${virt} would be writable and executable; expected at most one of the two`,
        virt,
      );
    }
    return mapping && unsafeAlias(operation, virt, mapping.phys, asked, this.known);
  }

  /** Sets the entry: what is taken away first, so that it is never more than before or after. */
  private set(flags: Flags): void {
    const { handle, mapping } = this;
    for (const given of [false, true]) {
      if (flags.present === given && handle.isPresent() !== given) handle.setPresent(given);
      if (flags.writable === given && handle.isWritable() !== given) handle.setWritable(given);
      if (flags.executable === given && handle.isExecutable() !== given) handle.setExecutable(given);
    }
    if (mapping !== undefined) Object.assign(mapping, flags);
  }
}

function flagsOf(handle: Handle): Flags {
  return {
    writable: handle.isWritable(),
    executable: handle.isExecutable(),
    present: handle.isPresent(),
  };
}

/** The mapping of the same memory that makes a mapping unsafe. */
function unsafeAlias(
  operation: string,
  virt: Page<VAddr>,
  phys: Page<PAddr>,
  { present, writable }: Flags,
  known: PhysicalIndex,
): UnsafeMapping | undefined {
  if (!present) return undefined;
  for (const other of known.overlapping(phys)) {
    if (other.present && (writable || other.writable) && String(other.virt) !== String(virt)) {
      const rights = (is: boolean) => (is ? 'writable' : 'read-only');
      return new UnsafeMapping(
        'WritableAlias',
        `${operation}: ${virt} (${rights(writable)}) would map ${phys}, of which ${other.virt} (${rights(other.writable)}) maps ` +
          `${other.phys}; expected memory that one page maps, or only read-only ones`,
        virt,
        other.virt,
      );
    }
  }
  return undefined;
}
