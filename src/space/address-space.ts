import { addressOf, hex, hex64, offsetOf, PageTableError, pageOf } from '../bits/index.ts';
import {
  AttributeEncoder,
  commit,
  compactRange,
  type Described,
  Edit,
  EditPlan,
  type EditPolicy,
  type FrameAllocator,
  MemoryStore,
  MOST_TABLES,
  mapRange,
  OpsStore,
  pageMasks,
  protectRange,
  Sharing,
  type TableStore,
  type Tree,
  takeFrames,
  unmapRange,
} from '../edit/index.ts';
import { EntryEncoder, inheritedBits, type Paging, rightsText, withoutHole } from '../format/index.ts';
import { listRegions, type Region, type RegionOptions } from '../inspect/index.ts';
import type { PhysicalMemory, TableOps } from '../memory/index.ts';
import { type Path, Walker } from '../walk/index.ts';
import {
  checkAligned,
  checkPolicy,
  checkRoots,
  checkTables,
  checkWord,
  described,
  rangesOf,
} from './arguments.ts';
import { copyTables, shareTables } from './copies.ts';
import { type Control, spaceKind, withRoots } from './machines.ts';
import type {
  CommitOptions,
  CompactOptions,
  CreateOptions,
  JsonOptions,
  MapOptions,
  ProtectOptions,
  SpacePolicy,
  SpaceTranslation,
  UnmapOptions,
} from './options.ts';
import type { PlanHome } from './plan-from-json.ts';
import { countReferences } from './references.ts';
import { type EditResult, invalidationsOf } from './result.ts';
import { type ReadMapping, readSpaceJson, type SpaceJson, spaceJson } from './space-json.ts';
import { SpacePlan } from './space-plan.ts';
import { UnfinishedEdit } from './unfinished-edit.ts';
import { type PageReason, whyNotLarger } from './why.ts';

/** How tables that are there become a space. */
export type OpenOptions<A = never> = SpacePolicy & {
  /** What the tables mean and where their roots are: one, or that of the lower and that of the upper half. */
  readonly paging: Paging | readonly Paging[];
  /** Other spaces with which it may share tables; they are then never written or freed behind each other's back. */
  readonly sharesWith?: readonly AddressSpace[];
} & (
    | { readonly memory: PhysicalMemory; readonly allocator: FrameAllocator; readonly ops?: undefined }
    | {
        /** A user's own store of tables, of 64-bit entries. */
        readonly ops: TableOps<A>;
        /** Takes a table back that is not needed any more; without it, tables are left where they are. */
        readonly freeTable?: (table: A) => void;
        readonly memory?: undefined;
        readonly allocator?: undefined;
      }
  );

/** The tables under one root, and what edits them. */
interface Half {
  tree: Tree;
  readonly attributes: AttributeEncoder;
  readonly store: TableStore;
}

/** Pages counted without the hole between two halves, and where. */
interface Range {
  readonly half: Half;
  readonly first: number;
  readonly end: number;
}

const MOST_FRAMES = 2 ** 52;

/**
 * An address space: page tables of any format, edited by ranges. An edit is made as a whole or not at all, and says what
 * processors must forget.
 */
export class AddressSpace {
  /** The registers with which a processor uses it; `undefined` of tables that were opened. */
  readonly control: Control | undefined;
  readonly asid: number;
  /** Works edits out without making them: the same arguments as the methods of these names. */
  readonly plan: {
    map(address: bigint, bytes: bigint, options: MapOptions): SpacePlan;
    unmap(address: bigint, bytes: bigint, options?: UnmapOptions): SpacePlan;
    protect(address: bigint, bytes: bigint, options: ProtectOptions): SpacePlan;
    compact(options?: CompactOptions): SpacePlan[];
  };
  private readonly policy: EditPolicy;
  private readonly options: SpacePolicy;
  private halves: readonly Half[];
  private readonly sharing: Sharing;
  private readonly allocator: FrameAllocator | undefined;

  private constructor(
    pagings: readonly Paging[],
    store: (encoder: EntryEncoder, paging: Paging, index: number) => TableStore,
    sharing: Sharing,
    options: SpacePolicy,
    more: { readonly control?: Control; readonly allocator?: FrameAllocator },
  ) {
    checkPolicy(options);
    this.options = options;
    this.sharing = sharing;
    this.asid = options.asid ?? 0;
    this.control = more.control;
    this.allocator = more.allocator;
    this.policy = {
      live: options.live ?? false,
      writeXorExecute: options.writeXorExecute ?? false,
      spuriousFaults: options.spuriousFaults ?? 'avoid',
      whenShared: options.whenShared ?? 'copy',
      maxTables: options.maxTables ?? MOST_TABLES,
    };
    this.halves = pagings.map((paging, index): Half => {
      checkTables(paging);
      const encoder = new EntryEncoder(paging.format);
      const its = store(encoder, paging, index);
      return {
        tree: { memory: its.begin(), paging, encoder, masks: pageMasks(encoder), sharing },
        attributes: new AttributeEncoder(paging, encoder),
        store: its,
      };
    });
    this.plan = {
      map: (address, bytes, mapOptions) => this.remembered(this.planMap(address, bytes, mapOptions)),
      unmap: (address, bytes, unmapOptions) => this.remembered(this.planUnmap(address, bytes, unmapOptions)),
      protect: (address, bytes, protectOptions) =>
        this.remembered(this.planProtect(address, bytes, protectOptions)),
      compact: (compactOptions) => this.planCompact(compactOptions).map((plan) => this.remembered(plan)),
    };
  }

  /**
   * Makes an empty space. It takes a frame for each root.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT`, `OUT_OF_RANGE` for a format or control state that there is not;
   *   `OUT_OF_FRAMES`, `INVALID_FRAME`: the allocator has taken back what it gave
   */
  static create(options: CreateOptions): AddressSpace {
    const { format, memory, allocator, control = {}, asid = 0 } = options;
    const kind = spaceKind(format);
    if (!(Number.isInteger(asid) && asid >= 0 && asid < kind.asidEnd)) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `create: asid ${asid}; expected a whole number in [0, ${kind.asidEnd}) in format ${format}`,
        { asid },
      );
    }
    // What the format is does not depend on where its roots are.
    const probe = kind.machine(control, Array<number>(kind.roots).fill(0), asid);
    const store = new MemoryStore(memory, allocator, new EntryEncoder(probe.pagings[0].format));
    // Of two halves, control state may leave one out.
    const frames = takeFrames('create', store, probe.pagings.length);
    try {
      const machine = kind.machine(control, frames, asid);
      checkRoots(machine.pagings, frames);
      for (const frame of frames) memory.clearFrame(frame);
      return new AddressSpace(
        machine.pagings,
        (encoder, paging) => new MemoryStore(memory, allocator, encoder, paging.root.word),
        new Sharing(),
        options,
        { control: machine.control, allocator },
      );
    } catch (error) {
      for (const frame of frames) allocator.free(frame);
      throw error;
    }
  }

  /**
   * Opens tables that are there: in memory, or in a store of the user's.
   *
   * Tables to which several entries lead are recognised: all tables are looked at once.
   *
   * @throws {@link PageTableError} `BAD_ARGUMENT`; `NOT_IN_MEMORY` if a root is not there; `LIMIT_EXCEEDED`
   */
  static open<A = never>(options: OpenOptions<A>): AddressSpace {
    const pagings = Array.isArray(options.paging) ? options.paging : [options.paging];
    const sharing = options.sharesWith?.[0]?.sharing ?? new Sharing();
    const known = new Set(options.sharesWith?.flatMap((other) => other.roots));
    const twice = pagings.find(({ root }) => known.has(addressOf(root.frame, root.word * 4)));
    if (twice !== undefined) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `open: another space has the root ${hex64(addressOf(twice.root.frame, twice.root.word * 4))}; expected one of its own (use that space)`,
      );
    }
    const moved: { space?: AddressSpace } = {};
    const space = new AddressSpace(
      pagings,
      (encoder, paging, index) =>
        options.ops === undefined
          ? new MemoryStore(options.memory, options.allocator, encoder, paging.root.word)
          : new OpsStore(options.ops, encoder, options.freeTable, (frame) =>
              moved.space?.moveRoot(index, frame),
            ),
      sharing,
      options,
      options.ops === undefined ? { allocator: options.allocator } : {},
    );
    moved.space = space;
    const others = options.sharesWith ?? [];
    if (others.some((other) => other.sharing !== sharing)) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        'open: sharesWith names spaces that do not know of each other; expected each to be opened with those before it',
      );
    }
    countReferences(
      space.trees,
      others.flatMap((other) => other.trees),
      sharing,
    );
    return space;
  }

  /**
   * Makes a space that maps what another one did. Its tables may lie elsewhere; the entries of its pages are the same.
   *
   * @param json - what {@link toJSON} gave, parsed
   * @throws {@link PageTableError} `BAD_ARGUMENT`, `MISALIGNED`, `LIMIT_EXCEEDED` for what is no such JSON; and as {@link create} and
   *   {@link map}. The allocator has taken back what it gave
   */
  static fromJSON(json: unknown, options: JsonOptions): AddressSpace {
    const { format, control, asid, mappings } = readSpaceJson(json);
    const { allocator } = options;
    const taken: number[] = [];
    let isDone = false;
    const watched: FrameAllocator = {
      allocate: () => {
        const frame = allocator.allocate();
        if (!isDone && frame !== undefined) taken.push(frame);
        return frame;
      },
      free: (frame) => {
        const at = isDone ? -1 : taken.lastIndexOf(frame);
        if (at >= 0) taken.splice(at, 1);
        allocator.free(frame);
      },
    };
    try {
      const space = AddressSpace.create({ asid, ...options, format, control, allocator: watched });
      for (const one of mappings) space.mapAgain(one);
      isDone = true;
      return space;
    } finally {
      if (!isDone) for (const frame of taken.reverse()) allocator.free(frame);
    }
  }

  private mapAgain({ address, bytes, pageBytes, contiguous, options }: ReadMapping): void {
    if (!contiguous) {
      this.map(address, bytes, { ...options, maxPage: pageBytes });
      return;
    }
    const half = this.halfNear(address);
    const level = treeOf(half).encoder.levels.find(({ order }) => 1n << BigInt(order + 12) === pageBytes);
    const group = pageBytes * BigInt(level?.group ?? 1);
    if (group === pageBytes || (address | bytes | options.physical) & (group - 1n)) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `space JSON: contiguous pages of ${hex(pageBytes)} bytes at ${hex64(address)}; expected whole groups, as the format has them`,
        { address, bytes },
      );
    }
    this.map(address, bytes, { ...options, maxPage: group, groups: true });
  }

  /** What the tables mean and where their roots are: one, or that of the lower and that of the upper half. */
  get pagings(): Paging[] {
    return this.halves.map(({ tree }) => tree.paging);
  }

  /** Physical byte addresses of the roots. */
  get roots(): bigint[] {
    return this.pagings.map(({ root }) => addressOf(root.frame, root.word * 4));
  }

  /** Where the tables lie: over a user's own store, a copy of those that are looked at. */
  get memory(): PhysicalMemory {
    return treeOf(this.halfNear(0n)).memory;
  }

  private get trees(): Tree[] {
    return this.halves.map(treeOf);
  }

  // ---- edits

  /**
   * Maps a range to physical memory that lies in one piece, with the largest pages that fit.
   *
   * @param address - byte address; a multiple of 4096
   * @param bytes - a multiple of 4096, above 0
   * @throws {@link PageTableError} `MISALIGNED`, `OUT_OF_RANGE`; `ALREADY_MAPPED` with the first range that is in the way;
   *   `NOT_REPRESENTABLE`; `WRITE_XOR_EXECUTE`; `SHARED_TABLE`; `OUT_OF_FRAMES`; `CORRUPT_TABLE`, `NOT_IN_MEMORY`;
   *   `BREAK_BEFORE_MAKE` in a live space. Nothing has changed then
   */
  map(address: bigint, bytes: bigint, options: MapOptions & CommitOptions): EditResult {
    return this.commit(this.planMap(address, bytes, options), options);
  }

  /**
   * Unmaps a range, of which any part may be mapped. Large pages are split where it ends inside them; tables of which nothing is
   * left are given up.
   *
   * @throws {@link PageTableError} as {@link map}; `NOT_MAPPED` if a page is missing and `missing` is `refuse`
   */
  unmap(address: bigint, bytes: bigint, options: UnmapOptions & CommitOptions = {}): EditResult {
    return this.commit(this.planUnmap(address, bytes, options), options);
  }

  /**
   * Changes rights, memory type or other attributes of a range. Large pages are split where it ends inside them.
   *
   * @throws {@link PageTableError} as {@link map}; `NOT_MAPPED` if a page is missing
   */
  protect(address: bigint, bytes: bigint, options: ProtectOptions & CommitOptions): EditResult {
    return this.commit(this.planProtect(address, bytes, options), options);
  }

  /**
   * Puts larger pages in the place of tables that map the same, and gives up empty tables. Of two halves, one is done after the
   * other: an error in the second one leaves the first one as it then is.
   *
   * @throws {@link PageTableError} as {@link map}
   */
  compact(options: CompactOptions & CommitOptions = {}): EditResult {
    const results = this.planCompact(options).map((plan) => this.commit(plan, options));
    return {
      invalidations: results.flatMap(({ invalidations }) => invalidations),
      tablesMade: results.flatMap(({ tablesMade }) => tablesMade),
      tablesFreed: results.flatMap(({ tablesFreed }) => tablesFreed),
      release: () => {
        for (const { release } of results) release();
      },
    };
  }

  /**
   * Makes an edit that was planned.
   *
   * @throws {@link PageTableError} `STALE_PLAN` if tables have changed since; `OUT_OF_FRAMES`, `INVALID_FRAME`;
   *   `BREAK_BEFORE_MAKE` if the space is live, the plan needs entries absent in between, and there is no `invalidate`;
   *   `REENTERED` from inside another edit. Nothing has changed then
   * @throws {@link UnfinishedEdit} `UPDATE_FAILED` if `invalidate` throws when all is written: the edit stays
   */
  commit(plan: SpacePlan, options: CommitOptions = {}): EditResult {
    const half = this.halves.find((one) => one === plan.owner);
    if (half === undefined || half.tree.paging.root.frame !== plan.core.root.frame) {
      throw new PageTableError(
        'STALE_PLAN',
        `${plan.operation}: the plan is of another space, or its root has moved; expected a plan of this one`,
      );
    }
    const { invalidate } = options;
    if (invalidate !== undefined && typeof invalidate !== 'function') {
      throw new PageTableError(
        'BAD_ARGUMENT',
        `${plan.operation}: invalidate is ${typeof invalidate}; expected a function`,
      );
    }
    const { paging } = half.tree;
    const done = commit(
      plan.core,
      half.store,
      invalidate && ((stale) => invalidate(invalidationsOf(stale, paging, this.asid))),
    );
    const invalidations = invalidationsOf(done.stale, paging, this.asid);
    let isReleased = false;
    const release = () => {
      if (!isReleased) done.release();
      isReleased = true;
    };
    const result = { invalidations, tablesMade: done.made, tablesFreed: plan.tablesFreed, release };
    try {
      if (invalidations.length > 0) invalidate?.(invalidations);
    } catch (error) {
      throw new UnfinishedEdit(plan.operation, result, error);
    }
    if (!this.policy.live || invalidate !== undefined) release();
    return result;
  }

  private planMap(address: bigint, bytes: bigint, options: MapOptions): SpacePlan {
    const operation = described('map', address, bytes);
    const { half, first, end } = this.range(operation, address, bytes);
    const { physical, overlap = 'refuse', groups = false } = options;
    checkWord(operation, 'overlap', overlap, ['refuse', 'replace', 'keep']);
    const { attributes } = half;
    const tree = treeOf(half);
    checkAligned(operation, 'physical address', physical);
    const { low, high } = attributes.bits(operation, options);
    const frame = pageOf(physical);
    const { frameEnd } = tree.encoder;
    if (frame + (end - first) > frameEnd) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${operation}: physical addresses ${hex64(physical)} to ${hex64(physical + bytes)}; expected none from ${hex(BigInt(frameEnd) << 12n)} on`,
        { physical },
      );
    }
    const maxOrder = this.maxOrder(operation, half, options.maxPage);
    const edit = new Edit(tree, this.policy, operation, first, end);
    mapRange(edit, edit.root, first, end, { low, high, delta: frame - first, maxOrder, groups }, overlap);
    return new SpacePlan(new EditPlan(edit), half, this.asid, maxOrder);
  }

  private planUnmap(address: bigint, bytes: bigint, { missing = 'ignore' }: UnmapOptions = {}): SpacePlan {
    const operation = described('unmap', address, bytes);
    checkWord(operation, 'missing', missing, ['refuse', 'ignore']);
    const { half, first, end } = this.range(operation, address, bytes);
    const edit = new Edit(treeOf(half), this.policy, operation, first, end);
    if (missing === 'refuse') edit.checkMapped();
    unmapRange(edit, edit.root, first, end);
    return new SpacePlan(new EditPlan(edit), half, this.asid);
  }

  private planProtect(address: bigint, bytes: bigint, options: ProtectOptions): SpacePlan {
    const operation = described('protect', address, bytes);
    const { missing = 'refuse' } = options;
    checkWord(operation, 'missing', missing, ['refuse', 'ignore']);
    const { half, first, end } = this.range(operation, address, bytes);
    const change = half.attributes.change(operation, options);
    const edit = new Edit(treeOf(half), this.policy, operation, first, end);
    protectRange(edit, edit.root, first, end, change, missing);
    return new SpacePlan(new EditPlan(edit), half, this.asid);
  }

  private planCompact(options: CompactOptions = {}): SpacePlan[] {
    const { address, bytes, groups = false } = options;
    const isAll = address === undefined && bytes === undefined;
    const ranges = isAll
      ? this.halves.map((half): Range => ({ half, first: 0, end: pagesOf(half) }))
      : [this.range('compact', address ?? 0n, bytes ?? 0n)];
    const plans = ranges.map(({ half, first, end }) => {
      const operation = isAll ? 'compact' : described('compact', address ?? 0n, bytes ?? 0n);
      const maxOrder = this.maxOrder(operation, half, options.maxPage);
      const edit = new Edit(treeOf(half), this.policy, operation, first, end);
      compactRange(edit, edit.root, first, end, { maxOrder, groups });
      return new SpacePlan(new EditPlan(edit), half, this.asid, maxOrder);
    });
    EditPlan.join(plans.map(({ core }) => core));
    return plans;
  }

  private remembered(plan: SpacePlan): SpacePlan {
    plan.core.remember();
    return plan;
  }

  // ---- questions

  /** What an address translates to. */
  translate(address: bigint): SpaceTranslation {
    const tree = treeOf(this.halfNear(address));
    const { paging } = tree;
    const { end, steps, frame, pageShift } = new Walker(tree.memory, paging).path(pageOf(address));
    const last = steps[steps.length - 1];
    if (end !== 'mapped' || frame === undefined || pageShift === undefined) {
      return { kind: end === 'mapped' ? 'not-present' : end };
    }
    const { and, or } = inheritedBits(paging.format, steps.slice(0, -1));
    const rights = paging.rights(and, or, last.low, last.high);
    return {
      kind: 'mapped',
      physical: addressOf(frame, offsetOf(address)),
      pageBytes: 1n << BigInt(pageShift),
      user: rightsText(rights, true),
      supervisor: rightsText(rights, false),
      type: paging.memoryType(last.depth, last.low, last.high).name,
    };
  }

  /** The entries by which an address is translated. */
  walk(address: bigint): Path {
    const tree = treeOf(this.halfNear(address));
    return new Walker(tree.memory, tree.paging).path(pageOf(address));
  }

  /**
   * What is mapped, in the order of addresses: see `listRegions`.
   *
   * @throws {@link PageTableError} as `listRegions`: `LIMIT_EXCEEDED` if a half has more rows than `maxRows`
   */
  regions(options: RegionOptions = {}): Region[] {
    const lists = this.trees.map(({ memory, paging }) => listRegions(memory, paging, options));
    return lists.length === 1 ? lists[0] : lists.flat();
  }

  /**
   * Why the page that maps an address is not larger; contiguous groups do not count.
   *
   * @param options - `maxPage`: largest page that is wanted, in bytes
   * @throws {@link PageTableError} `BAD_ARGUMENT` for a page that the format does not have; `LIMIT_EXCEEDED`
   */
  why(address: bigint, { maxPage }: { readonly maxPage?: bigint } = {}): PageReason {
    const half = this.halfNear(address);
    return whyNotLarger(treeOf(half), half.attributes, pageOf(address), this.maxOrder('why', half, maxPage));
  }

  /**
   * What is mapped and how, with page sizes and the pages' own bits; for `JSON.stringify`. What entries hold that are not present
   * is left out.
   *
   * @throws {@link PageTableError} `NOT_IN_MEMORY`, `LIMIT_EXCEEDED`
   */
  toJSON(): SpaceJson {
    const halves = this.halves.map((half) => ({ tree: treeOf(half), attributes: half.attributes }));
    return spaceJson(halves, this.control, this.asid);
  }

  /** @internal */
  get home(): PlanHome {
    const halves = this.halves.map((owner) => ({ owner, tree: treeOf(owner) }));
    return { halves, policy: this.policy, asid: this.asid };
  }

  // ---- copies

  /**
   * Makes another space that maps the same.
   *
   * @param options - `tables`: `share` takes new roots only; all other tables belong to both, and an edit of either makes copies of
   *   those that it changes. `copy` copies all tables
   * @throws {@link PageTableError} `OUT_OF_FRAMES`, `INVALID_FRAME`: nothing has changed then. `BAD_ARGUMENT` over a user's own store
   */
  clone({ tables }: { readonly tables: 'share' | 'copy' }): AddressSpace {
    const { allocator, memory, sharing } = this;
    if (allocator === undefined) {
      throw new PageTableError(
        'BAD_ARGUMENT',
        'clone: the tables are in a store of the user, which has one root; expected tables in memory',
      );
    }
    checkWord('clone', 'tables', tables, ['share', 'copy']);
    const isShared = tables === 'share';
    const its = isShared ? sharing : new Sharing();
    const clones = (isShared ? shareTables : copyTables)(this.trees, this.halves[0].store, its);
    const control = this.control === undefined ? {} : { control: withRoots(this.control, clones) };
    return new AddressSpace(
      clones,
      (encoder, paging) => new MemoryStore(memory, allocator, encoder, paging.root.word),
      its,
      this.options,
      { ...control, allocator },
    );
  }

  /**
   * Gives up the space: its roots, and all tables that no other space uses. It cannot be used any more. Processors must have
   * stopped to use it, and forget all of it, before.
   *
   * @returns frames of the tables that were given back
   */
  destroy(): number[] {
    const freed = this.halves.flatMap((half) => {
      const edit = new Edit(treeOf(half), this.policy, 'destroy', 0, pagesOf(half));
      unmapRange(edit, edit.root, 0, pagesOf(half));
      const plan = new SpacePlan(new EditPlan(edit), half, this.asid);
      const done = commit(plan.core, half.store, () => {});
      done.release();
      const { frame } = half.tree.paging.root;
      half.store.free(frame);
      return [...plan.tablesFreed, frame];
    });
    this.halves = [];
    return freed;
  }

  private moveRoot(index: number, frame: number): void {
    const half = this.halves[index];
    half.tree = { ...half.tree, paging: { ...half.tree.paging, root: { frame, word: 0 } } };
  }

  // ---- arguments

  /** The half to which an address belongs, or the first one. */
  private halfNear(address: bigint): Half {
    const half: Half | undefined = this.halfOf(address) ?? this.halves[0];
    if (half !== undefined) return half;
    throw new PageTableError('BAD_ARGUMENT', 'address space: it was destroyed; expected one that is in use');
  }

  /** The half to which an address belongs. */
  private halfOf(address: bigint): Half | undefined {
    const page = pageOf(address);
    return this.halves.find(({ tree }) => {
      const { lowEnd, highStart } = tree.paging.format;
      return page < lowEnd || page >= highStart;
    });
  }

  private range(operation: Described, address: bigint, bytes: bigint): Range {
    this.halfNear(0n);
    checkAligned(operation, 'address', address);
    checkAligned(operation, 'length', bytes);
    const half = this.halfOf(address);
    const first = pageOf(address);
    const pages = pageOf(bytes);
    const end = first + pages;
    if (pages === 0 || end > MOST_FRAMES) {
      throw new PageTableError(
        'OUT_OF_RANGE',
        `${operation}: expected a length above 0, and an end not above 2^64`,
        { address, bytes },
      );
    }
    if (half !== undefined) {
      const { lowEnd, highStart } = half.tree.paging.format;
      if (first < lowEnd && end <= lowEnd) return { half, first, end };
      const start = withoutHole(half.tree.paging.format, first);
      if (first >= highStart && end <= MOST_FRAMES) return { half, first: start, end: start + pages };
    }
    const ranges = this.halves.flatMap(({ tree }) => rangesOf(tree.paging));
    throw new PageTableError('OUT_OF_RANGE', `${operation}: expected a range inside ${ranges.join(' or ')}`, {
      address,
      bytes,
    });
  }

  /** `log2` of the 4-KiB pages of the largest page allowed. */
  private maxOrder(operation: Described, { tree }: Half, maxPage: bigint | undefined): number {
    if (maxPage === undefined) return Number.POSITIVE_INFINITY;
    const sizes = tree.encoder.levels.flatMap(({ hasPages, order, group }) =>
      hasPages ? (group > 1 ? [order, order + Math.log2(group)] : [order]) : [],
    );
    const order = sizes.find((one) => 1n << BigInt(one + 12) === maxPage);
    if (order !== undefined) return order;
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${operation}: maxPage ${hex(maxPage)}; expected one of ${sizes
        .sort((a, b) => a - b)
        .map((one) => hex(1n << BigInt(one + 12)))
        .join(', ')}`,
      { maxPage },
    );
  }
}

/** The tables of a half as they are now. */
function treeOf(half: Half): Tree {
  const memory = half.store.begin();
  if (memory !== half.tree.memory) half.tree = { ...half.tree, memory };
  return half.tree;
}

/** Pages that a half translates. */
function pagesOf({ tree }: Half): number {
  const { lowEnd, highStart } = tree.paging.format;
  return lowEnd + (MOST_FRAMES - highStart);
}
