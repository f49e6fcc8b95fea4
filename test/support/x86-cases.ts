/**
 * What tests of x86 paging share: control state told to the library and to the reference walker alike, and physical
 * memory laid out in every way the library knows, with a reader of it for the reference walker.
 */
import type { X86Control } from '../../src/format/index.ts';
import {
  flatMemory,
  OverlayMemory,
  type PhysicalMemory,
  type RamRegion,
  SparseMemory,
} from '../../src/memory/index.ts';
import { type SparseMemory as FrameMap, readerOf } from './random-tables.ts';
import type { ReferenceControl, ReferenceMode, ReferenceRead } from './reference-walker.ts';

// Bits as formats.md 1.1 and 1.6 name them; on purpose not those of the library.
const CR0_WP = 1n << 16n;
const CR0_PG = 1n << 31n;
const CR4_PSE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const CR4_PGE = 1n << 7n;
const CR4_LA57 = 1n << 12n;
const CR4_SMEP = 1n << 20n;
const CR4_SMAP = 1n << 21n;
const CR4_PKE = 1n << 22n;
const CR4_PKS = 1n << 24n;
const EFER_LME = 1n << 8n;
const EFER_LMA = 1n << 10n;
const EFER_NXE = 1n << 11n;

/** The four modes, as the reference walker names them. */
export const MODES: readonly ReferenceMode[] = ['32-bit', 'PAE', '4-level', '5-level'];

/** Control state by what it switches; all but the mode have defaults. */
export interface Switches {
  readonly mode: ReferenceMode;
  readonly cr3?: bigint;
  /** On by default: WP, PSE, PGE, NXE, 1-GiB pages, PSE-36. Off: SMEP, SMAP, PKE, PKS. */
  readonly wp?: boolean;
  readonly pse?: boolean;
  readonly pge?: boolean;
  readonly nxe?: boolean;
  readonly page1GB?: boolean;
  readonly pse36?: boolean;
  readonly smep?: boolean;
  readonly smap?: boolean;
  readonly pke?: boolean;
  readonly pks?: boolean;
  readonly pkru?: number;
  readonly pkrs?: number;
  /** 46 by default. */
  readonly physBits?: number;
  readonly pat?: bigint;
  readonly amd?: boolean;
}

/** The same control state for the library and for the reference walker. */
export function controlsOf(switches: Switches): {
  readonly ours: X86Control;
  readonly reference: ReferenceControl;
} {
  const { mode, cr3 = 0n, physBits = 46, page1GB = true, pse36 = true, pkru = 0, pkrs = 0 } = switches;
  const long = mode === '4-level' || mode === '5-level';
  const on = (bit: bigint, value: boolean | undefined, byDefault: boolean) =>
    (value ?? byDefault) ? bit : 0n;
  const cr0 = CR0_PG | on(CR0_WP, switches.wp, true);
  const cr4 =
    (mode === '32-bit' ? 0n : CR4_PAE) |
    (mode === '5-level' ? CR4_LA57 : 0n) |
    on(CR4_PSE, switches.pse, true) |
    on(CR4_PGE, switches.pge, true) |
    on(CR4_SMEP, switches.smep, false) |
    on(CR4_SMAP, switches.smap, false) |
    on(CR4_PKE, switches.pke, false) |
    on(CR4_PKS, switches.pks, false);
  const efer = (long ? EFER_LME | EFER_LMA : 0n) | on(EFER_NXE, switches.nxe, true);
  return {
    ours: {
      cr0,
      cr3,
      cr4,
      efer,
      pat: switches.pat ?? 0x0007_0406_0007_0406n,
      pkru: BigInt(pkru),
      pkrs: BigInt(pkrs),
      physBits,
      page1GB,
      pse36,
      amd: switches.amd ?? false,
    },
    reference: { mode, cr0, cr3, cr4, efer, physBits, page1GB, pse36, pkru, pkrs, rflagsAC: false },
  };
}

/** Ways in which physical memory can lie. */
export const LAYOUTS = ['flat', 'regions', 'sparse', 'overlay'] as const;

/** One of {@link LAYOUTS}. */
export type Layout = (typeof LAYOUTS)[number];

/** Memory for the library, and a reader of the same memory for the reference walker. */
export interface LaidOut {
  readonly memory: PhysicalMemory;
  readonly read: ReferenceRead;
}

/**
 * Lays frames out. `flat` is one run from `first` to `end`, where frames that are not given hold zeros and those outside
 * are absent; the other layouts hold exactly the frames given.
 */
export function layOut(
  frames: FrameMap,
  layout: Layout,
  run: { readonly first: number; readonly end: number },
): LaidOut {
  switch (layout) {
    case 'flat':
      return flatRun(frames, run);
    case 'regions':
      return { memory: regions(frames), read: readerOf(frames) };
    case 'sparse':
      return { memory: sparseFrom(frames).memory, read: readerOf(frames) };
    case 'overlay':
      return { memory: new OverlayMemory(regions(frames)).memory, read: readerOf(frames) };
  }
}

/** Sparse memory with copies of the frames. */
export function sparseFrom(frames: FrameMap): SparseMemory {
  const sparse = new SparseMemory();
  for (const [frame, words] of frames) {
    const at = sparse.add(frame);
    sparse.memory.words.set(words, at);
  }
  return sparse;
}

function flatRun(
  frames: FrameMap,
  { first, end }: { readonly first: number; readonly end: number },
): LaidOut {
  const bytes = (end - first) * 4096;
  const words = new Uint32Array(bytes / 4);
  const seen: FrameMap = new Map();
  for (let frame = first; frame < end; frame += 1) {
    const given = frames.get(frame);
    const at = (frame - first) * 1024;
    if (given !== undefined) words.set(given, at);
    seen.set(frame, words.subarray(at, at + 1024));
  }
  const region = { address: BigInt(first) << 12n, offset: 0, length: bytes };
  return { memory: flatMemory(words.buffer, [region]), read: readerOf(seen) };
}

/** One region for each run of neighbouring frames, the last run first, with a gap of 24 bytes before the first one. */
function regions(frames: FrameMap): PhysicalMemory {
  const sorted = [...frames.keys()].sort((a, b) => b - a);
  const buffer = new ArrayBuffer(24 + sorted.length * 4096);
  const list: RamRegion[] = [];
  let offset = 24;
  for (let i = 0; i < sorted.length; ) {
    let length = 1;
    while (sorted[i + length] === sorted[i] - length) length += 1;
    const first = sorted[i] - length + 1;
    list.push({ address: BigInt(first) << 12n, offset, length: length * 4096 });
    for (let k = 0; k < length; k += 1) {
      new Uint32Array(buffer, offset + k * 4096, 1024).set(frames.get(first + k) ?? []);
    }
    offset += length * 4096;
    i += length;
  }
  return flatMemory(buffer, list);
}
