// Assembles guest.S to guest.bin. With --check: writes nothing, and tells whether guest.bin is what guest.S gives.
//
// Usage: node conformance/mmu/x86/build.mjs [--check]
//
// Exit code: 0 done or equal, 1 different, 2 binutils are missing or refuse the source.

import { buildGuest } from '../build-guest.mjs';
import { WINDOW } from './layout.mjs';

process.exitCode = buildGuest(process.argv.slice(2), {
  folder: 'conformance/mmu/x86',
  url: import.meta.url,
  maxBytes: 16 << 10,
  prefix: '',
  as: ['--64'],
  ld: ['-m', 'elf_x86_64', `-Ttext=0x${WINDOW.toString(16)}`, '-e', 'image'],
});
