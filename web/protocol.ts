import type { Explanation } from 'tablewalk/inspect';
import type { FieldWords } from 'tablewalk/report';
import type { ControlFlag, TableOptions } from 'tablewalk/session';
import type { AtlasData } from './map/atlas.ts';

/** What the page asks of the worker, and what the worker answers. All of it can be posted; bytes are in `bigint`s or in frames. */
export interface Explorer {
  /** Takes an image. Throws what `openImage` throws. */
  open(image: ImageSource): Promise<Image>;
  /** Chooses page tables, reads them, and drops the scratch copy. Throws what `choosePaging` throws: `NO_ROOT`, … */
  choose(options: TableOptions): Promise<Tables>;
  /** Follows one address. */
  explain(address: bigint): Promise<Walk>;
  /** One table with all its entries. Throws `OUT_OF_RANGE` if nothing leads to such a one. */
  table(at: TableAt): Promise<Table>;
  /** What the entries `[from, to)` of a table say, in words; those in a part of it that is not in the image are left out. */
  entries(at: TableAt, from: number, to: number): Promise<readonly EntryText[]>;
  /** Lists regions anew; rows are asked for afterwards. */
  regions(filter: RegionFilter): Promise<RegionList>;
  /** Rows `[from, to)` of the list. */
  regionRows(from: number, to: number): Promise<readonly RegionRow[]>;
  /** Which linear addresses reach a physical one, and what tables lie there. */
  find(physical: bigint): Promise<Found>;
  /** Does all changes, in their order, to a fresh scratch copy: what follows from them. The file is never written to. */
  attempt(changes: readonly Change[]): Promise<Attempt>;
  /** The JSON of `maps` as a file, for the filter of the last list. */
  exportRegions(): Promise<Blob>;
}

/** Where an image comes from. Exactly one of `blob` and `url` is given. */
export interface ImageSource {
  readonly name: string;
  readonly blob?: Blob;
  /** Read by Range requests. */
  readonly url?: string;
  /** What QEMU or gdb prints for `info registers`, or JSON. */
  readonly registers?: string;
  /** Whether it is raw memory; so it is where a base is given. */
  readonly raw?: boolean;
  /** Physical address of the first byte of raw memory, hexadecimal; 0 if not given. */
  readonly base?: string;
  /** Bytes to which a packed file may unpack. */
  readonly maxUnpackedBytes?: number;
}

/** What an image says of itself. */
export interface Image {
  readonly name: string;
  readonly architecture: 'x86' | 'aarch64' | 'riscv' | undefined;
  /** What `info` says of it before it looks at tables: label and text. */
  readonly rows: readonly (readonly string[])[];
  /** Processors by number, with what is known of them. */
  readonly cpus: readonly { readonly index: number; readonly registers: Readonly<Record<string, bigint>> }[];
}

/** An address space, or one half of it. */
export interface SpaceInfo {
  /** `x86-64 4-level paging, root 0x… from CR3 of CPU 0`. */
  readonly text: string;
  readonly title: string;
  readonly half: 'lower' | 'upper' | undefined;
  readonly root: TableAt;
  readonly rootAddress: bigint;
  readonly entryBytes: 4 | 8;
  /** Width of linear addresses, for the manual's words. */
  readonly vaBits: number;
  /** Root first: the manual's names; the bits of an address that choose an entry. */
  readonly levels: readonly {
    readonly table: string;
    readonly entry: string;
    readonly indexHigh: number;
    readonly indexLow: number;
  }[];
  readonly privileges: readonly [user: string, supervisor: string];
  /** `log2` of the bytes of each page size that the format has, smallest first. */
  readonly pageShifts: readonly number[];
  /** Pages `[0, lowEnd)` and `[highStart, 2^52)` are translated. */
  readonly lowEnd: number;
  readonly highStart: number;
}

/** Page tables that were chosen and read. */
export interface Tables {
  /** At least one; the lower half first. */
  readonly spaces: readonly SpaceInfo[];
  /** Halves of which nothing can be read, and why. */
  readonly unread: readonly string[];
  /** What no source gave, and what follows from it. */
  readonly assumed: readonly string[];
  readonly flags: readonly ControlFlag[];
  /** What `info` says of the tables: label and text. */
  readonly rows: readonly (readonly string[])[];
  /** What the map draws: one for each space. */
  readonly atlases: readonly AtlasData[];
}

/** A table: which space, how deep (the root is at 0), and its first frame. */
export interface TableAt {
  readonly space: number;
  readonly depth: number;
  readonly frame: number;
}

/** One walk. */
export interface Walk {
  readonly space: number;
  readonly explanation: Explanation;
  /** What `explain` prints, line by line. */
  readonly lines: readonly string[];
  /** The first line of those: what the address comes to. */
  readonly outcome: string;
  /** For each level: its fields with what is said of them, lowest bit first. */
  readonly fields: readonly (readonly FieldWords[])[];
  /** For each level: `maps the page at 0x…`. */
  readonly leads: readonly string[];
  /** What the walk comes to: label (`physical`, `rights`, `user read`) and text, as the last lines of `explain`. */
  readonly rows: readonly (readonly string[])[];
  /** Of each of the six accesses: `user read`, and `allowed` or its fault and why. */
  readonly accesses: readonly { readonly name: string; readonly allowed: boolean; readonly text: string }[];
  /** For each level: the table in which its entry lies. */
  readonly tables: readonly TableAt[];
  /** What `explain --json` prints. */
  readonly json: string;
}

/** What an entry is; the kinds of cells of the map, see `map/atlas.ts`. */
export interface Table {
  readonly at: TableAt;
  /** Physical byte address. */
  readonly address: bigint;
  readonly count: number;
  /** By index: what `cellKind` reads. */
  readonly cells: Uint8Array;
  readonly lows: Uint32Array;
  readonly highs: Uint32Array;
  /** First linear page of the first entry, on the first way that leads here. */
  readonly page: number;
  /** Of a root with both halves: index of the first entry of the upper one; the count of entries where there is none. */
  readonly upperFrom: number;
  /** `log2` of the 4-KiB pages that an entry spans. */
  readonly order: number;
  /** Every entry that leads here. The root has none unless it is recursive. */
  readonly parents: readonly {
    readonly at: TableAt;
    readonly index: number;
    readonly count: number;
    readonly entry: string;
  }[];
  /** Ways from the root to here; not 1 where tables are shared. */
  readonly ways: number;
  /** Whether the image does not have it: then there are no entries. */
  readonly missing: boolean;
}

/** One entry of a table, for the list. */
export interface EntryText {
  readonly index: number;
  /** First linear byte address that it maps, on the first way that leads to the table. */
  readonly linear: bigint;
  readonly value: bigint;
  /** `R/W=1 writable, …`, as `explain` says it, or why it leads nowhere. */
  readonly text: string;
  /** Where it leads, if to a table. */
  readonly leads: TableAt | undefined;
  /** Physical byte address of that table, or of the page. */
  readonly target: bigint | undefined;
  /** Effective rights, of a page: `rw-` of both privileges. */
  readonly rights: readonly [user: string, supervisor: string] | undefined;
  /** Its fields with what is said of them, lowest bit first; of an entry that is not present, the present bit alone. */
  readonly fields: readonly FieldWords[];
}

/** As the options of `maps`, with its words. Empty texts are not given. */
export interface RegionFilter {
  readonly range: string;
  readonly rights: string;
  readonly size: string;
  readonly minSize: string;
  readonly merge: string;
}

/** How long the list is. */
export interface RegionList {
  readonly count: number;
  readonly header: readonly string[];
  /** What a row is, and what was left out. */
  readonly note: string;
}

/** A row of `maps`. */
export interface RegionRow {
  readonly cells: readonly string[];
  readonly first: bigint;
  /** One past the last byte address of the first copy; 2^64 at the end of the space. */
  readonly end: bigint;
  readonly wx: boolean;
}

/** What reaches a physical address. */
export interface Found {
  readonly physical: bigint;
  readonly pages: readonly {
    readonly linear: bigint;
    readonly rights: readonly [user: string, supervisor: string];
    readonly pageShift: number;
  }[];
  /** Pages of 4 KiB that lead there, listed or not. */
  readonly count: number;
  /** Whether there are more than these. */
  readonly more: boolean;
  /** Tables of which a part is not in the image: more may lead there. */
  readonly missing: number;
  /** Tables that lie in its frame. */
  readonly tables: readonly { readonly at: TableAt; readonly name: string }[];
  /** Whether the image has that frame. */
  readonly inImage: boolean;
}

/** One change of the scratch copy. */
export type Change =
  | { readonly kind: 'entry'; readonly at: TableAt; readonly index: number; readonly bit: number }
  | { readonly kind: 'flag'; readonly register: string; readonly name: string };

/** Linear addresses that change meaning alike. */
export interface ChangedRange {
  readonly first: bigint;
  /** One past the last byte address of the first copy. */
  readonly end: bigint;
  readonly before: string;
  readonly after: string;
  /** `65,536 times, every 64 KiB`; empty where it stands once. */
  readonly repeat: string;
}

/** What follows from changes. */
export interface Attempt {
  /** The tables as they are then; the map draws them. */
  readonly tables: Tables;
  /** What was asked for. */
  readonly changes: readonly Change[];
  /** Each change in words, in order: `PTE 5 of the page table at 0x…: bit 1 (R/W) 0 → 1`. */
  readonly done: readonly string[];
  /** What changes meaning. */
  readonly rows: readonly ChangedRange[];
  /** Bytes that change meaning; at least these, if there is more than was compared. */
  readonly bytes: bigint;
  readonly more: boolean;
}

/** How far long work is. */
export interface Progress {
  /** `reading tables`. */
  readonly what: string;
  readonly done: number;
  /** 0 where nobody knows. */
  readonly total: number;
}

/** What goes to the worker. */
export type Request =
  | { readonly id: number; readonly method: keyof Explorer; readonly args: readonly unknown[] }
  /** Gives the work of a request up. */
  | { readonly stop: number };

/** What comes back. */
export type Reply =
  | { readonly id: number; readonly result: unknown }
  | { readonly id: number; readonly error: { readonly code: string; readonly message: string } }
  | { readonly id: number; readonly progress: Progress };
