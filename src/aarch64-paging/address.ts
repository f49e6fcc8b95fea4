import { hex, hex64, PageTableError } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';

/** What virtual and physical addresses have in common. Immutable. */
abstract class Address {
  /** The address itself: unsigned, 64 bits. */
  readonly value: bigint;
  /** The original's name of the kind; keeps the kinds apart as types. */
  protected abstract readonly kind: string;

  protected constructor(kind: string, value: bigint, limit: bigint) {
    this.value = addressValue(kind, value);
    if (this.value >= 0n && this.value <= limit) return;
    throw new PageTableError(
      'OUT_OF_RANGE',
      `${kind}: ${hex(value)}; expected an unsigned address of 64 bits`,
      {
        value,
      },
    );
  }

  protected abstract make(value: bigint): this;

  /**
   * The address so many bytes further on.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if there is none
   */
  add(bytes: bigint): this {
    return this.make(this.value + bytes);
  }

  /**
   * Bytes from another address to this one.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if that one lies above
   */
  sub(other: this): bigint;
  /**
   * The address so many bytes before.
   *
   * @throws {@link PageTableError} `OUT_OF_RANGE` if there is none
   */
  sub(bytes: bigint): this;
  sub(other: this | bigint): this | bigint {
    return typeof other === 'bigint'
      ? this.make(this.value - other)
      : this.make(this.value - this.same(other)).value;
  }

  /** Order of the addresses: -1, 0 or 1. */
  compare(other: this): -1 | 0 | 1 {
    const value = this.same(other);
    return this.value < value ? -1 : this.value > value ? 1 : 0;
  }

  /** Whether both are the same address. */
  equals(other: this): boolean {
    return this.value === this.same(other);
  }

  /** The address, so that `<` and `>` compare. */
  valueOf(): bigint {
    return this.value;
  }

  /** The original's text: `0x` and 16 hexadecimal digits. */
  toString(): string {
    return hex64(this.value);
  }

  /** @internal */
  [INSPECT](): string {
    return `${this.kind}(${this})`;
  }

  private same(other: this): bigint {
    if (other instanceof Address && other.kind === this.kind) return other.value;
    throw wrongKind(this.kind, other, `a ${this.kind}`);
  }
}

/** A virtual address; also 2^64, the end of a region that reaches to the last page. */
export class VirtualAddress extends Address {
  protected readonly kind: 'VirtualAddress' = 'VirtualAddress';

  /** @throws {@link PageTableError} `OUT_OF_RANGE` unless it is in `[0, 2^64]` */
  constructor(value: bigint) {
    super('VirtualAddress', value, 1n << 64n);
  }

  protected make(value: bigint): this {
    return new VirtualAddress(value) as this;
  }
}

/** A physical or intermediate physical address. */
export class PhysicalAddress extends Address {
  protected readonly kind: 'PhysicalAddress' = 'PhysicalAddress';

  /** @throws {@link PageTableError} `OUT_OF_RANGE` unless it is in `[0, 2^64)` */
  constructor(value: bigint) {
    super('PhysicalAddress', value, (1n << 64n) - 1n);
  }

  protected make(value: bigint): this {
    return new PhysicalAddress(value) as this;
  }
}

/** The number behind an address that may be given either way. */
export function addressValue(operation: string, address: bigint | Address): bigint {
  if (typeof address === 'bigint') return address;
  if (address instanceof Address) return address.value;
  throw wrongKind(
    operation,
    address,
    `a bigint or an address${Number.isInteger(address) ? `: ${address}n` : ''}`,
  );
}
