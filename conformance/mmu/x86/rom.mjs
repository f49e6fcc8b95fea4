// The guest's binary as the ROM that emulators want.

import { readFileSync } from 'node:fs';
import { ROM_BYTES } from './layout.mjs';

const VGA_ROM_BYTES = 0x8000;

/**
 * The script and the guest that reads it.
 *
 * @param {Uint8Array} script
 */
export function romImage(script) {
  const guest = readFileSync(new URL('guest.bin', import.meta.url));
  const rom = new Uint8Array(ROM_BYTES);
  if (script.length + guest.length > ROM_BYTES) {
    throw new Error(`rom: a script of ${script.length} bytes; expected at most ${ROM_BYTES - guest.length}`);
  }
  rom.set(script);
  rom.set(guest, ROM_BYTES - guest.length);
  return rom;
}

/** An extension ROM that does nothing; Bochs does not start without one. */
export function vgaRomImage() {
  const rom = new Uint8Array(VGA_ROM_BYTES);
  // The signature, and a byte that makes the sum of all 0.
  rom.set([0x55, 0xaa, VGA_ROM_BYTES / 512]);
  rom[3] = -rom.reduce((sum, byte) => sum + byte, 0);
  return rom;
}
