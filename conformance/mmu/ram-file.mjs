// Runs a guest whose RAM is a file, which brings its script in and its answer out.

import { closeSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { runLimited, withFolder } from './emulator.mjs';

/** For one guest; usually it takes a second. */
const SECONDS = 60;

/**
 * Where a guest's RAM is, and what is in it. Addresses are physical.
 *
 * @typedef {object} RamFile
 * @property {number} start
 * @property {number} bytes - a whole number of MiB
 * @property {number} image - where the guest's program goes
 * @property {number} script
 * @property {number} answer
 * @property {number} answerBytes
 */

/**
 * Runs a script in QEMU.
 *
 * @param {RamFile} ram
 * @param {{ command: string, args: readonly string[], guest: URL }} machine - `guest`: its program. QEMU's memory backend is
 *   called `ram`
 * @param {Uint8Array} script
 * @returns {Promise<{ answer: Uint8Array, ended: import('./emulator.mjs').Ended }>}
 */
export function runInRamFile(ram, { command, args, guest }, script) {
  return withFolder(async (folder) => {
    const path = join(folder, 'ram');
    const file = openSync(path, 'w+');
    try {
      ftruncateSync(file, ram.bytes);
      const program = readFileSync(guest);
      writeSync(file, program, 0, program.length, ram.image - ram.start);
      writeSync(file, script, 0, script.length, ram.script - ram.start);
      const ended = await runLimited(
        command,
        [
          ...args,
          ...['-smp', '1', '-m', `${ram.bytes >> 20}M`],
          ...['-object', `memory-backend-file,id=ram,size=${ram.bytes},mem-path=${path},share=on`],
          ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
        ],
        { seconds: SECONDS },
      );
      const answer = new Uint8Array(ram.answerBytes);
      readSync(file, answer, 0, ram.answerBytes, ram.answer - ram.start);
      return { answer, ended };
    } finally {
      closeSync(file);
    }
  });
}
