// Assembles guest.S to guest.bin. With --check: writes nothing, and tells whether guest.bin is what guest.S gives.
//
// Usage: node conformance/mmu/aarch64/build.mjs [--check]
//
// Exit code: 0 done or equal, 1 different, 2 binutils are missing or refuse the source.

import { buildGuest } from '../build-guest.mjs';
import { IMAGE, IMAGE_BYTES } from './layout.mjs';

process.exitCode = buildGuest(process.argv.slice(2), {
  folder: 'conformance/mmu/aarch64',
  url: import.meta.url,
  maxBytes: IMAGE_BYTES,
  prefix: 'aarch64-linux-gnu-',
  as: [],
  ld: [`-Ttext=0x${IMAGE.toString(16)}`, '-e', 'image'],
});
