// Where everything lies in the memory of the x86 guest. guest.S has WINDOW and the ROM's start as well.

import { Layout } from '../layout.mjs';

/** RAM in bytes, from 0 on. */
export const RAM_BYTES = 64 << 20;

/** The ROM ends at 4 GiB. It starts with the script, what the guest is to do, and ends with the guest's own code. */
export const ROM_BYTES = 2 << 20;

/** Frames for page tables: zero before each case, and compared after it. */
export const ARENA = 0x80_0000;
export const ARENA_FRAMES = 24;

/** Where the guest keeps the arena as it was at the beginning of a case. */
export const SNAPSHOT = 0xa0_0000;

/**
 * The guest's own code and data. Under every paging tables these pages are mapped to themselves, for CPL 0, with accessed
 * and dirty set. Far from the indices that random tables have: not the first 2 or 4 MiB, not the last.
 */
export const WINDOW = 0x340_0000;
export const WINDOW_PAGES = 16;

/** Linear address of the first page of the guest's code once more, for CPL 3. */
export const USER_CODE = WINDOW + 0x1_f000;

/** Linear address of the arena, for CPL 0; operations on table entries in mid-case go there. */
export const ARENA_ALIAS = WINDOW + 0x2_0000;

/** Pages from the start of WINDOW that belong to the guest, mapped or not. */
export const RESERVED_PAGES = 0x20 + ARENA_FRAMES;

/** RAM that pages may be in, half-open; the guest fills it with a pattern. */
export const PAGE_RANGES = /** @type {const} */ ([
  [0, 0xa_0000],
  [0x10_0000, 0x60_0000],
  [0xc0_0000, 0x300_0000],
  [0x380_0000, RAM_BYTES],
]);

/** A byte that traps when it is executed; the first four of each 16 bytes in {@link PAGE_RANGES} are this. */
export const INT3 = 0xcc;

/** What the parts that know of no architecture need of all this. */
export const LAYOUT = new Layout({
  ram: [0, RAM_BYTES],
  arena: ARENA,
  arenaFrames: ARENA_FRAMES,
  pageRanges: PAGE_RANGES,
  trapOf: () => INT3 * 0x101_0101,
});
