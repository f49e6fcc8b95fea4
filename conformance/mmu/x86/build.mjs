// Assembles guest.S to guest.bin. With --check: writes nothing, and tells whether guest.bin is what guest.S gives.
//
// Usage: node conformance/mmu/x86/build.mjs [--check]
//
// Exit code: 0 done or equal, 1 different, 2 binutils are missing or refuse the source.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WINDOW } from './layout.mjs';

const MAX_BYTES = 16 << 10;
const SOURCE = fileURLToPath(new URL('guest.S', import.meta.url));
const BINARY = fileURLToPath(new URL('guest.bin', import.meta.url));

process.exitCode = main(process.argv.slice(2));

/** @param {readonly string[]} args */
function main(args) {
  const check = args[0] === '--check';
  if (args.length > (check ? 1 : 0)) {
    console.error('Usage: node conformance/mmu/x86/build.mjs [--check]');
    return 2;
  }
  const built = assemble();
  if (built === undefined) return 2;
  if (built.length > MAX_BYTES) {
    console.error(`guest.bin: ${built.length} bytes; expected at most ${MAX_BYTES}`);
    return 2;
  }
  if (!check) {
    writeFileSync(BINARY, built);
    console.log(`guest.bin: ${built.length} bytes`);
    return 0;
  }
  const committed = readFileSync(BINARY);
  if (committed.equals(built)) {
    console.log(`guest.bin is what guest.S gives, ${built.length} bytes`);
    return 0;
  }
  const at = built.findIndex((byte, i) => byte !== committed[i]);
  console.error(
    `guest.bin: ${committed.length} bytes; guest.S gives ${built.length}, different from byte ${at < 0 ? built.length : at} on`,
  );
  return 1;
}

/** The binary, or nothing if a tool failed; it has said why. */
function assemble() {
  const folder = mkdtempSync(join(tmpdir(), 'guest-'));
  const object = join(folder, 'guest.o');
  const binary = join(folder, 'guest.bin');
  try {
    if (!run('as', ['--64', '-o', object, SOURCE])) return undefined;
    const place = `-Ttext=0x${WINDOW.toString(16)}`;
    if (!run('ld', ['-m', 'elf_x86_64', place, '-e', 'image', '--oformat=binary', '-o', binary, object])) {
      return undefined;
    }
    return readFileSync(binary);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit' });
  if (error !== undefined) console.error(`${command}: ${error.message}`);
  return status === 0;
}
