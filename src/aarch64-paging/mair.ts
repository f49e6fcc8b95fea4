import { hex, PageTableError } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';

/** What a byte of MAIR is for memory of one sort, inner or outer: its four bits. */
export const NormalMemory = {
  WriteThroughTransientWriteAllocate: 1,
  WriteThroughTransientReadAllocate: 2,
  WriteThroughTransientReadWriteAllocate: 3,
  NonCacheable: 4,
  WriteBackTransientWriteAllocate: 5,
  WriteBackTransientReadAllocate: 6,
  WriteBackTransientReadWriteAllocate: 7,
  WriteThroughNonTransient: 8,
  WriteThroughNonTransientWriteAllocate: 9,
  WriteThroughNonTransientReadAllocate: 10,
  WriteThroughNonTransientReadWriteAllocate: 11,
  WriteBackNonTransient: 12,
  WriteBackNonTransientWriteAllocate: 13,
  WriteBackNonTransientReadAllocate: 14,
  WriteBackNonTransientReadWriteAllocate: 15,
} as const;
/** One of {@link NormalMemory}. */
export type NormalMemory = (typeof NormalMemory)[keyof typeof NormalMemory];

const DEVICES = ['Device-nGnRnE', 'Device-nGnRE', 'Device-nGRE', 'Device-GRE'];
const ALLOCATES = ['do not allocate', 'write-allocate', 'read-allocate', 'read-write-allocate'];

/** The original's text of four bits that are not 0. */
function normalText(nibble: number): string {
  if (nibble === 4) return 'Non-Cacheable';
  // Bit 2: write-back. Bit 3: non-transient.
  const kind = `${(nibble & 4) !== 0 ? 'Write-back' : 'Write-through'} ${nibble > 7 ? 'non-transient' : 'transient'}`;
  return `${kind}, ${ALLOCATES[nibble & 3]}`;
}

/** A byte of MAIR: the type of memory that an attribute index stands for. Immutable. */
export class MairAttribute {
  /** Device memory: no gathering, no reordering, no early write acknowledgement. */
  static readonly DEVICE_NGNRNE: MairAttribute = new MairAttribute(0);
  /** Device memory: no gathering, no reordering. */
  static readonly DEVICE_NGNRE: MairAttribute = new MairAttribute(4);
  /** Device memory: no gathering. */
  static readonly DEVICE_NGRE: MairAttribute = new MairAttribute(8);
  /** Device memory. */
  static readonly DEVICE_GRE: MairAttribute = new MairAttribute(12);

  /** The byte. */
  readonly value: number;

  /** @throws {@link PageTableError} `OUT_OF_RANGE` unless it is a whole number in `[0, 256)` */
  constructor(value: number) {
    this.value = inRange('MairAttribute', value, 256);
  }

  /**
   * Normal memory.
   *
   * @param inner - {@link NormalMemory}
   * @param outer - the same
   */
  static normal(inner: NormalMemory, outer: NormalMemory): MairAttribute {
    return new MairAttribute((normalMemory(outer) << 4) | normalMemory(inner));
  }

  /** Whether both are the same byte. */
  equals(other: MairAttribute): boolean {
    return this.value === other.value;
  }

  /** The original's text: `Normal, Inner Non-Cacheable, Outer Non-Cacheable`. */
  toString(): string {
    const { value } = this;
    if (value < 16 && (value & 3) === 0) return DEVICES[value >> 2];
    const inner = value & 15;
    const outer = value >> 4;
    return inner === 0 || outer === 0
      ? `Unpredictable (0x${value.toString(16).padStart(2, '0')})`
      : `Normal, Inner ${normalText(inner)}, Outer ${normalText(outer)}`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

/** A value of MAIR: eight attributes, for the indices that entries have. Immutable. */
export class Mair {
  /** Device-nGnRnE memory for every index. */
  static readonly EMPTY: Mair = new Mair(0n);

  /** The register's value. */
  readonly value: bigint;

  /** @param value - 64 bits, or eight attributes, that of index 0 first */
  constructor(value: bigint | readonly MairAttribute[]) {
    if (typeof value === 'bigint') {
      this.value = BigInt.asUintN(64, value);
      if (this.value === value) return;
      throw new PageTableError(
        'OUT_OF_RANGE',
        `Mair: ${hex(value)}; expected an unsigned number of 64 bits`,
        { value },
      );
    }
    if (!Array.isArray(value) || value.length !== 8)
      throw wrongKind('Mair', value, 'a bigint or eight attributes');
    this.value = value.reduceRight((all, each) => (all << 8n) | BigInt(attributeOf(each).value), 0n);
  }

  /**
   * With another attribute for an index.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` unless the index is in `[0, 8)`
   */
  withAttribute(index: number, attribute: MairAttribute): Mair {
    const shift = BigInt(inRange('withAttribute', index, 8)) * 8n;
    return new Mair((this.value & ~(0xffn << shift)) | (BigInt(attributeOf(attribute).value) << shift));
  }

  /** The eight attributes, that of index 0 first. */
  attributes(): MairAttribute[] {
    // Eight bits, so it is a small number.
    return Array.from(
      { length: 8 },
      (_, i) => new MairAttribute(Number((this.value >> BigInt(8 * i)) & 0xffn)),
    );
  }

  /** Whether both are the same value. */
  equals(other: Mair): boolean {
    return this.value === other.value;
  }

  /** The original's text: `{0: Device-nGnRE; 1: …; 7: Device-nGnRnE}`. */
  toString(): string {
    return `{${this.attributes()
      .map((each, i) => `${i}: ${each}`)
      .join('; ')}}`;
  }

  /** @internal */
  [INSPECT](): string {
    return this.toString();
  }
}

function attributeOf(value: MairAttribute): MairAttribute {
  if (value instanceof MairAttribute) return value;
  throw wrongKind('Mair', value, 'a MairAttribute');
}

function normalMemory(value: NormalMemory): number {
  return inRange('MairAttribute.normal', value - 1, 15) + 1;
}

function inRange(operation: string, value: number, end: number): number {
  if (Number.isInteger(value) && value >= 0 && value < end) return value;
  throw new PageTableError('OUT_OF_RANGE', `${operation}: ${value}; expected a whole number in [0, ${end})`, {
    value,
  });
}
