// Runs in the page: each step uses the built library as a browser would, and fails by throwing.

import { hex, PageTableError, pageOf } from '/dist/bits/index.js';
import { captureTables } from '/dist/capture/index.js';
import { knownX86Control, resolveX86Control, x86Paging } from '/dist/format/index.js';
import { blobBytes, openImage } from '/dist/source/index.js';
import { NOT_PRESENT, Walker } from '/dist/walk/index.js';

/** What QEMU's `gva2gpa` says of the sample's processor 0; `undefined` where it says that nothing is mapped. */
const ANSWERS = [
  [0x402000n, 0xf8b8000n],
  [0x3fffe01000n, 0x82e7000n],
  [0x40000000n, undefined],
];

/** Steps by name; each takes the URL of the sample and returns a note. */
export const steps = {
  'a Blob is opened and its addresses are translated': async (sampleUrl) => {
    const blob = await (await fetch(sampleUrl)).blob();
    const machine = await openImage(blobBytes(blob));
    const { control } = resolveX86Control(knownX86Control(machine.cpus[0].registers), machine.longMode);
    const paging = x86Paging(control);
    const { memory } = await captureTables(machine, paging);
    const walker = new Walker(memory, paging);
    for (const [va, pa] of ANSWERS) {
      const frame = walker.translate(pageOf(va));
      const expected = pa === undefined ? NOT_PRESENT : pageOf(pa);
      if (frame !== expected) {
        throw new Error(`${hex(va)} translates to frame ${frame}, expected ${expected}`);
      }
    }
    await machine.close();
    return machine.kind;
  },
  'a Blob that is no image is refused with a code': async () => {
    const error = await openImage(blobBytes(new Blob(['no image at all']))).catch((thrown) => thrown);
    if (!(error instanceof PageTableError && error.code === 'UNSUPPORTED_IMAGE')) {
      throw new Error(`got ${error}`);
    }
  },
};
