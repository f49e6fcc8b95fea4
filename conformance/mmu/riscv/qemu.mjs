// The guests in QEMU.

import { runInRamFile } from '../ram-file.mjs';
import { ANSWER, ANSWER_BYTES, IMAGE, RAM_BYTES, RAM_START, SCRIPT } from './layout.mjs';

/** @typedef {import('./control.mjs').Machine} Machine */

export const COMMANDS = /** @type {const} */ ({ 64: 'qemu-system-riscv64', 32: 'qemu-system-riscv32' });

const RAM = {
  start: RAM_START,
  bytes: RAM_BYTES,
  image: IMAGE,
  script: SCRIPT,
  answer: ANSWER,
  answerBytes: ANSWER_BYTES,
};

/**
 * Runs a script.
 *
 * @param {Machine} machine
 * @param {Uint8Array} script
 */
export function runScript({ xlen, svnapot, svpbmt }, script) {
  const extensions = xlen === 64 ? `,svnapot=${svnapot},svpbmt=${svpbmt}` : '';
  const machine = {
    command: COMMANDS[xlen],
    args: [
      ...['-machine', 'virt,accel=tcg,memory-backend=ram', '-bios', 'none'],
      ...['-cpu', `rv${xlen}${extensions}`],
    ],
    guest: new URL(`guest-rv${xlen}.bin`, import.meta.url),
  };
  return runInRamFile(RAM, machine, script);
}
