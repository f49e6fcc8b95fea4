import type { PhysicalMemory } from '../../src/index.ts';
import type { SpaceFormat } from '../../src/space/index.ts';

// A walk of each format in plain numbers, from the manuals' pictures of the entries alone: fast enough to look at every boundary
// after every edit. The programs in test/support, which know every rule, look at some of them as well.

/** What an address translates to. */
export interface PlainPage {
  readonly frame: number;
  readonly pageBytes: number;
  /** Reads, writes, fetches of the kernel, then of applications, as bits 0 to 5. */
  readonly accesses: number;
}

interface Geometry {
  readonly levels: number;
  readonly indexBits: number;
  readonly wide: boolean;
  readonly kind: 'x86' | 'arm' | 'riscv';
}

const GEOMETRY: Readonly<Record<SpaceFormat, Geometry>> = {
  '32-bit': { levels: 2, indexBits: 10, wide: false, kind: 'x86' },
  PAE: { levels: 3, indexBits: 9, wide: true, kind: 'x86' },
  '4-level': { levels: 4, indexBits: 9, wide: true, kind: 'x86' },
  '5-level': { levels: 5, indexBits: 9, wide: true, kind: 'x86' },
  'aarch64-4k': { levels: 4, indexBits: 9, wide: true, kind: 'arm' },
  sv32: { levels: 2, indexBits: 10, wide: false, kind: 'riscv' },
  sv39: { levels: 3, indexBits: 9, wide: true, kind: 'riscv' },
  sv48: { levels: 4, indexBits: 9, wide: true, kind: 'riscv' },
  sv57: { levels: 5, indexBits: 9, wide: true, kind: 'riscv' },
};

/**
 * @param root - frame of the root table
 * @param page - `address / 4096`
 * @returns `undefined` where nothing is mapped
 */
export function plainWalk(
  memory: PhysicalMemory,
  format: SpaceFormat,
  root: number,
  page: number,
): PlainPage | undefined {
  const { levels, indexBits, wide, kind } = GEOMETRY[format];
  const { words } = memory;
  const entries = 2 ** indexBits;
  let frame = root;
  let writes = true;
  let user = true;
  let fetches = true;
  for (let level = levels - 1; level >= 0; level -= 1) {
    const span = entries ** level;
    const index = Math.floor(page / span) % (format === 'PAE' && level === 2 ? 4 : entries);
    const at = memory.locate(frame) + index * (wide ? 2 : 1);
    const low = words[at];
    const high = wide ? words[at + 1] : 0;
    const bit = (n: number) => ((n < 32 ? low >>> n : high >>> (n - 32)) & 1) === 1;
    if (!bit(0)) return undefined;
    if (kind === 'x86') {
      if (!(format === 'PAE' && level === 2)) {
        writes &&= bit(1);
        user &&= bit(2);
        fetches &&= !bit(63);
      }
      const address = (low >>> 12) + (high & 0xf_ffff) * 0x10_0000;
      if (level > 0 && !bit(7)) {
        frame = address;
        continue;
      }
      // Below the size of a page, the address field has other bits; PSE-36 puts bits 39:32 at 20:13.
      const first =
        format === '32-bit' && level === 1
          ? (low >>> 22) * 1024 + ((low >>> 13) & 0xff) * 0x10_0000
          : address - (address % span);
      const rights = (1 | (writes ? 2 : 0) | (fetches ? 4 : 0)) * (user ? 9 : 1);
      return { frame: first + (page % span), pageBytes: span * 4096, accesses: rights };
    }
    if (kind === 'arm') {
      const address = (low >>> 12) + (high & 0xffff) * 0x10_0000;
      if (level > 0 && bit(1)) {
        frame = address;
        continue;
      }
      if (level === 0 && !bit(1)) return undefined;
      const readOnly = bit(7);
      const forUser = bit(6);
      // EL1 never executes what EL0 can write.
      const kernel = 1 | (readOnly ? 0 : 2) | (bit(53) || (forUser && !readOnly) ? 0 : 4);
      const application = (forUser ? (readOnly ? 1 : 3) : 0) | (bit(54) ? 0 : 4);
      const accesses = bit(10) ? kernel | (application << 3) : 0;
      return {
        frame: address - (address % span) + (page % span),
        pageBytes: span * (bit(52) ? 16 : 1) * 4096,
        accesses,
      };
    }
    const address = (low >>> 10) + (high & 0x3f_ffff) * 0x40_0000;
    if (!bit(1) && !bit(2) && !bit(3)) {
      frame = address;
      continue;
    }
    const napot = wide && bit(63);
    const size = napot ? 16 : span;
    const used = bit(6);
    const rights = used ? (bit(1) ? 1 : 0) | (bit(2) && bit(7) ? 2 : 0) | (bit(3) ? 4 : 0) : 0;
    return {
      frame: address - (address % size) + (page % size),
      pageBytes: size * 4096,
      accesses: bit(4) ? rights << 3 : rights,
    };
  }
  return undefined;
}
