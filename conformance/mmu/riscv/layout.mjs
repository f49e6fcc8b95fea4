// Where everything lies in the memory of the RISC-V guests. guest.S has the addresses of script and answer as well.

import { Layout } from '../layout.mjs';

/** Where QEMU's machine has its RAM, in a file that the guest's host reads and writes. */
export const RAM_START = 0x8000_0000;
export const RAM_BYTES = 32 << 20;

/** The guest's own code, where the processor starts. The first page of it is mapped for S and U mode. */
export const IMAGE = RAM_START;
export const IMAGE_BYTES = 0x1000;

/** Where the guest keeps the arena as it was at the beginning of a case. */
export const SNAPSHOT = 0x8048_0000;

/** What the guest is to do. */
export const SCRIPT = 0x8060_0000;

/** What it found. */
export const ANSWER = 0x80c0_0000;
export const ANSWER_BYTES = 4 << 20;

/** The last bits of an instruction of 32 bits that is custom-0, which QEMU's processors do not have; mtval tells the others. */
export const TRAP = 0x0b;
export const TRAP_MASK = 0x7f;

export const LAYOUT = new Layout({
  ram: [RAM_START, RAM_START + RAM_BYTES],
  arena: 0x8030_0000,
  arenaFrames: 32,
  pageRanges: [[0x8100_0000, RAM_START + RAM_BYTES]],
  trapOf: (mixed) => ((mixed & ~TRAP_MASK) | TRAP) >>> 0,
});

/**
 * Whether neither memory nor a device is at a physical address, so that every access there fails.
 *
 * @param {bigint} address
 * @param {32 | 64} xlen
 */
export function isNowhere(address, xlen) {
  // QEMU's machine has PCI memory of 4 GiB at 12 GiB with RV32, and of 16 GiB at 16 GiB with RV64.
  if (address < BigInt(RAM_START + RAM_BYTES)) return false;
  return xlen === 32 ? address < 3n << 32n : address < 1n << 34n || address >= 1n << 36n;
}
