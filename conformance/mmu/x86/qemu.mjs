// The guest in QEMU.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runLimited, withFolder } from '../emulator.mjs';
import { MODES } from './control.mjs';
import { QEMU_DEVIATIONS } from './deviations.mjs';
import { RAM_BYTES } from './layout.mjs';
import { romImage } from './rom.mjs';

/** For one guest; usually it takes a second. */
const SECONDS = 60;

/** @type {import('./judge.mjs').Emulator} */
export const QEMU = {
  command: 'qemu-system-x86_64',
  versionArgs: ['--version'],
  debianPackage: 'qemu-system-x86',
  processor: { modes: MODES, pku: true, pks: true, pcid: false, refusesReservedBits: false },
  deviations: QEMU_DEVIATIONS,
  run: (script) =>
    withFolder(async (folder) => {
      const files = {
        rom: join(folder, 'rom'),
        script: join(folder, 'script'),
        answer: join(folder, 'answer'),
      };
      writeFileSync(files.rom, romImage(script));
      writeFileSync(files.answer, '');
      const ended = await runLimited(
        QEMU.command,
        [
          ...['-machine', 'pc,accel=tcg', '-cpu', 'max', '-smp', '1', '-m', `${RAM_BYTES >> 20}M`],
          ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-bios', files.rom],
          ...['-debugcon', `file:${files.answer}`, '-device', 'isa-debug-exit,iobase=0xf4,iosize=4'],
        ],
        { seconds: SECONDS },
      );
      return { answer: readFileSync(files.answer), ended };
    }),
};
