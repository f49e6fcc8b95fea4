/** What a byte of MAIR_ELx says. */
export interface MairType {
  /** In a few letters: `WB`, `NC`, `Device-nGnRE`; inner and outer apart where they differ: `WB/NC`. */
  readonly name: string;
  /** In words. */
  readonly text: string;
  readonly device: boolean;
}

const DEVICE = ['nGnRnE', 'nGnRE', 'nGRE', 'GRE'] as const;
/** Allocation hints: bit 1 for reads, bit 0 for writes. */
const HINTS = ['no allocation', 'write-allocate', 'read-allocate', 'read- and write-allocate'] as const;

/** One half of the byte of normal memory. */
interface Cacheability {
  readonly name: 'WB' | 'WT' | 'NC';
  readonly text: string;
}

function cacheability(code: number): Cacheability | undefined {
  if (code === 0) return undefined;
  if (code === 4) return { name: 'NC', text: 'non-cacheable' };
  const isBack = (code & 4) !== 0;
  const transient = code < 8 ? 'transient ' : '';
  return {
    name: isBack ? 'WB' : 'WT',
    text: `${transient}write-${isBack ? 'back' : 'through'} (${HINTS[code & 3]})`,
  };
}

/**
 * The memory type that a byte of MAIR_ELx gives.
 *
 * @param byte - in `[0, 256)`
 * @see Arm ARM (DDI 0487), "MAIR_EL1, Memory Attribute Indirection Register (EL1)"
 */
export function mairType(byte: number): MairType {
  if (byte >>> 4 === 0 && (byte & 2) === 0) {
    const name = `Device-${DEVICE[(byte >>> 2) & 3]}`;
    return { name, text: (byte & 1) === 0 ? name : `${name}, XS = 0`, device: true };
  }
  if (byte === 0xf0) return { name: 'WB-tagged', text: 'Normal, tagged write-back', device: false };
  if (byte === 0x40) return { name: 'NC', text: 'Normal, non-cacheable, XS = 0', device: false };
  if (byte === 0xa0)
    return { name: 'WT', text: 'Normal, write-through (read-allocate), XS = 0', device: false };
  const inner = cacheability(byte & 15);
  const outer = cacheability(byte >>> 4);
  if (inner === undefined || outer === undefined) {
    return { name: 'unpredictable', text: 'a code that means nothing', device: false };
  }
  return {
    name: inner.name === outer.name ? inner.name : `${inner.name}/${outer.name}`,
    text:
      inner.text === outer.text
        ? `Normal, ${inner.text}`
        : `Normal, inner ${inner.text}, outer ${outer.text}`,
    device: false,
  };
}
