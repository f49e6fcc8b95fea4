// Assembles guest.S to guest-rv64.bin and guest-rv32.bin. With --check: writes nothing, and tells whether they are what guest.S gives.
//
// Usage: node conformance/mmu/riscv/build.mjs [--check]
//
// Exit code: 0 done or equal, 1 different, 2 binutils are missing or refuse the source.

import { buildGuest } from '../build-guest.mjs';
import { IMAGE, IMAGE_BYTES } from './layout.mjs';

/** @param {{ xlen: 32 | 64, abi: string }} processor */
const build = ({ xlen, abi }) =>
  buildGuest(process.argv.slice(2), {
    folder: 'conformance/mmu/riscv',
    url: import.meta.url,
    name: `guest-rv${xlen}.bin`,
    maxBytes: IMAGE_BYTES,
    prefix: 'riscv64-linux-gnu-',
    as: [`-march=rv${xlen}ima_zicsr_zifencei`, `-mabi=${abi}`, '--defsym', `XLEN=${xlen}`],
    ld: ['-m', `elf${xlen}lriscv`, `-Ttext=0x${IMAGE.toString(16)}`, '-e', 'image'],
  });

process.exitCode = Math.max(build({ xlen: 64, abi: 'lp64' }), build({ xlen: 32, abi: 'ilp32' }));
