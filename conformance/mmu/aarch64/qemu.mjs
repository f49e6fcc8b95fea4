// The guest in QEMU.

import { closeSync, ftruncateSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { runLimited, withFolder } from '../emulator.mjs';
import { ANSWER, ANSWER_BYTES, IMAGE, RAM_BYTES, RAM_START, SCRIPT, START } from './layout.mjs';

/** For one guest; usually it takes a second. */
const SECONDS = 60;

export const COMMAND = 'qemu-system-aarch64';

/**
 * Runs a script.
 *
 * @param {Uint8Array} script
 */
export function runScript(script) {
  return withFolder(async (folder) => {
    const ram = join(folder, 'ram');
    const file = openSync(ram, 'w+');
    try {
      ftruncateSync(file, RAM_BYTES);
      const guest = readFileSync(new URL('guest.bin', import.meta.url));
      writeSync(file, guest, 0, guest.length, IMAGE - RAM_START);
      writeSync(file, script, 0, script.length, SCRIPT - RAM_START);
      const ended = await runLimited(
        COMMAND,
        [
          ...['-machine', 'virt,accel=tcg,virtualization=on,memory-backend=ram', '-cpu', 'max', '-smp', '1'],
          ...['-m', `${RAM_BYTES >> 20}M`],
          ...['-object', `memory-backend-file,id=ram,size=${RAM_BYTES},mem-path=${ram},share=on`],
          ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
          ...['-device', `loader,addr=0x${(IMAGE + START).toString(16)},cpu-num=0`],
        ],
        { seconds: SECONDS },
      );
      const answer = new Uint8Array(ANSWER_BYTES);
      readSync(file, answer, 0, ANSWER_BYTES, ANSWER - RAM_START);
      return { answer, ended };
    } finally {
      closeSync(file);
    }
  });
}
