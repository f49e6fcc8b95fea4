// Where everything lies in the memory of the AArch64 guest. guest.S has the addresses of script and answer as well.

import { Layout } from '../layout.mjs';

/** Where QEMU's machine has its RAM, in a file that the guest's host reads and writes. */
export const RAM_START = 0x4000_0000;
export const RAM_BYTES = 32 << 20;

/** The guest's own code. The first page of it is mapped at EL1 and EL0. QEMU has a device tree below. */
export const IMAGE = 0x4020_0000;
export const IMAGE_BYTES = 0x3000;

/** Offset of the instruction where the processor starts. */
export const START = 0x1400;

/** Where the guest keeps the arena as it was at the beginning of a case. */
export const SNAPSHOT = 0x4048_0000;

/** What the guest is to do. */
export const SCRIPT = 0x4060_0000;

/** What it found. */
export const ANSWER = 0x40c0_0000;
export const ANSWER_BYTES = 4 << 20;

/** BRK without its 16-bit operand; a fetch tells it in ESR. */
export const BRK = 0xd420_0000;

/** A case has room for so many tables, of the largest size that it needs. */
export const ARENA_UNITS = 20;

/** Binary logarithm of the largest. */
const MAX_GRANULE = 16;

export const LAYOUT = new Layout({
  ram: [RAM_START, RAM_START + RAM_BYTES],
  arena: 0x4030_0000,
  arenaFrames: ARENA_UNITS << (MAX_GRANULE - 12),
  pageRanges: [[0x4100_0000, RAM_START + RAM_BYTES]],
  trapOf: (mixed) => (BRK | ((mixed >>> 16) << 5)) >>> 0,
});
