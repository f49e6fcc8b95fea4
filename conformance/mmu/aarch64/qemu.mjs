// The guest in QEMU.

import { runInRamFile } from '../ram-file.mjs';
import { ANSWER, ANSWER_BYTES, IMAGE, RAM_BYTES, RAM_START, SCRIPT, START } from './layout.mjs';

export const COMMAND = 'qemu-system-aarch64';

const RAM = {
  start: RAM_START,
  bytes: RAM_BYTES,
  image: IMAGE,
  script: SCRIPT,
  answer: ANSWER,
  answerBytes: ANSWER_BYTES,
};

const MACHINE = {
  command: COMMAND,
  args: [
    ...['-machine', 'virt,accel=tcg,virtualization=on,memory-backend=ram', '-cpu', 'max'],
    ...['-device', `loader,addr=0x${(IMAGE + START).toString(16)},cpu-num=0`],
  ],
  guest: new URL('guest.bin', import.meta.url),
};

/**
 * Runs a script.
 *
 * @param {Uint8Array} script
 */
export function runScript(script) {
  return runInRamFile(RAM, MACHINE, script);
}
