import { hex, PageTableError } from '../bits/index.ts';
import { addressValue, PhysicalAddress, VirtualAddress } from './address.ts';
import { MapError } from './errors.ts';
import { TargetAllocator } from './target-allocator.ts';

/** Where the heap of a map begins that was given none: 4 GiB below 2^40, where few machines have anything else. */
const HEAP = 0xff_0000_0000n;
const HALF = 1n << 63n;

/** Where physical addresses are virtual ones plus an offset; with a heap for tables. */
export class LinearTranslation extends TargetAllocator {
  /** Physical address less virtual address. */
  readonly offset: bigint;

  /**
   * @param offset - a multiple of 4096, signed, 64 bits
   * @throws {@link PageTableError} `MISALIGNED` or `OUT_OF_RANGE`
   */
  constructor(offset: bigint) {
    super(HEAP);
    if (BigInt.asIntN(64, addressValue('offset', offset)) !== offset) throw outside('offset', offset);
    if ((offset & 0xfffn) !== 0n) {
      throw new PageTableError(
        'MISALIGNED',
        `Invalid offset ${offset}; expected a multiple of the page size 4096`,
        { offset },
      );
    }
    this.offset = offset;
  }

  /**
   * The physical address of a virtual one, which is taken for a signed number.
   *
   * @throws {@link MapError} `InvalidVirtualAddress` if it would be negative, or 2^63 or more
   */
  virtualToPhysical(va: bigint | VirtualAddress): PhysicalAddress {
    const address = addressValue('virtualToPhysical', va);
    const physical = BigInt.asIntN(64, address) + this.offset;
    if (physical >= 0n && physical < HALF) return new PhysicalAddress(physical);
    const addr = new VirtualAddress(address);
    throw new MapError(
      'InvalidVirtualAddress',
      `Invalid virtual address ${addr} for mapping`,
      { addr },
      { address, offset: this.offset },
    );
  }

  /**
   * The virtual address of a physical one.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if it would be 0, or more than 64 bits, or the physical one has 64 bits
   */
  physicalToVirtual(pa: bigint | PhysicalAddress): VirtualAddress {
    const address = addressValue('physicalToVirtual', pa);
    const virtual = address - this.offset;
    if (address < 0n || address >= HALF || virtual === 0n || BigInt.asIntN(64, virtual) !== virtual) {
      throw outside('physical address', address);
    }
    return new VirtualAddress(BigInt.asUintN(64, virtual));
  }
}

/** Where physical addresses are virtual ones; with a heap for tables. */
export class IdTranslation extends LinearTranslation {
  constructor() {
    super(0n);
  }
}

function outside(what: string, value: bigint): PageTableError {
  return new PageTableError('OUT_OF_RANGE', `Invalid ${what} ${hex(value)} for page tables`, { value });
}
