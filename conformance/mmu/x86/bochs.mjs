// The guest in Bochs.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runLimited, withFolder } from '../emulator.mjs';
import { NO_DEVIATIONS } from './deviations.mjs';
import { RAM_BYTES, ROM_BYTES } from './layout.mjs';
import { romImage, vgaRomImage } from './rom.mjs';

/** For one guest; usually it takes a second or two. */
const SECONDS = 120;

const MEGABYTES = RAM_BYTES >> 20;

/** `rfb` needs no screen, and does not wait for a viewer. */
const CONFIGURATION = `
plugin_ctrl: unmapped=true, biosdev=false, speaker=false, parallel=false, serial=false, gameport=false, iodebug=false
config_interface: textconfig
display_library: rfb, options="timeout=0"
cpu: model=tigerlake, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest=${MEGABYTES}, host=${MEGABYTES}
romimage: file=rom, address=0x${(2 ** 32 - ROM_BYTES).toString(16)}
vgaromimage: file=vga-rom
port_e9_hack: enabled=1
log: log
panic: action=fatal
error: action=ignore
info: action=ignore
debug: action=ignore
`;

/** Debian's Bochs has the debugger, which asks at once; others never read this. */
const DEBUGGER_COMMANDS = 'continue\nquit\n';

/** @type {import('./judge.mjs').Emulator} */
export const BOCHS = {
  command: 'bochs',
  versionArgs: ['--help', 'cpu'],
  debianPackage: 'bochs',
  // Without keys: Bochs 2.7 has no PKS, and holds PKRU against supervisor-mode addresses in place of user-mode ones.
  processor: {
    modes: ['32-bit', 'PAE', '4-level'],
    pku: false,
    pks: false,
    pcid: true,
    refusesReservedBits: true,
  },
  deviations: NO_DEVIATIONS,
  run: (script) =>
    withFolder(async (folder) => {
      writeFileSync(join(folder, 'rom'), romImage(script));
      writeFileSync(join(folder, 'vga-rom'), vgaRomImage());
      writeFileSync(join(folder, 'configuration'), CONFIGURATION);
      writeFileSync(join(folder, 'commands'), DEBUGGER_COMMANDS);
      const ended = await runLimited('bochs', ['-q', '-f', 'configuration', '-rc', 'commands'], {
        seconds: SECONDS,
        folder,
      });
      return { answer: ended.stdout, ended };
    }),
};
