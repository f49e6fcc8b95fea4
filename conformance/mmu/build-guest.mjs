// Assembles a guest's source. Each architecture has a build.mjs that says how.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * How an architecture's guest.S becomes its binary.
 *
 * @typedef {object} Recipe
 * @property {string} folder - as in the usage, from the root of the repository
 * @property {string} url - of the build.mjs, beside both
 * @property {string} [name] - of the binary, if not guest.bin
 * @property {number} maxBytes
 * @property {string} prefix - of the names of binutils' commands
 * @property {readonly string[]} as - options
 * @property {readonly string[]} ld - options
 */

/**
 * Writes the binary, or with --check tells whether it is what guest.S gives.
 *
 * @param {readonly string[]} args
 * @param {Recipe} recipe
 * @returns {number} an exit code: 0 done or equal, 1 different, 2 binutils are missing or refuse the source
 */
export function buildGuest(args, recipe) {
  const { name = 'guest.bin' } = recipe;
  const check = args[0] === '--check';
  if (args.length > (check ? 1 : 0)) {
    console.error(`Usage: node ${recipe.folder}/build.mjs [--check]`);
    return 2;
  }
  const built = assemble(recipe);
  if (built === undefined) return 2;
  if (built.length > recipe.maxBytes) {
    console.error(`${name}: ${built.length} bytes; expected at most ${recipe.maxBytes}`);
    return 2;
  }
  const binary = fileURLToPath(new URL(name, recipe.url));
  if (!check) {
    writeFileSync(binary, built);
    console.log(`${name}: ${built.length} bytes`);
    return 0;
  }
  const committed = readFileSync(binary);
  if (committed.equals(built)) {
    console.log(`${name} is what guest.S gives, ${built.length} bytes`);
    return 0;
  }
  const at = built.findIndex((byte, i) => byte !== committed[i]);
  console.error(
    `${name}: ${committed.length} bytes; guest.S gives ${built.length}, different from byte ${at < 0 ? built.length : at} on`,
  );
  return 1;
}

/**
 * The binary, or nothing if a tool failed; it has said why.
 *
 * @param {Recipe} recipe
 */
function assemble({ url, prefix, as, ld }) {
  const source = fileURLToPath(new URL('guest.S', url));
  const folder = mkdtempSync(join(tmpdir(), 'guest-'));
  const object = join(folder, 'guest.o');
  const linked = join(folder, 'guest.elf');
  const binary = join(folder, 'guest.bin');
  try {
    if (!run(`${prefix}as`, [...as, '-o', object, source])) return undefined;
    if (!run(`${prefix}ld`, [...ld, '-o', linked, object])) return undefined;
    if (!run(`${prefix}objcopy`, ['-O', 'binary', linked, binary])) return undefined;
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
