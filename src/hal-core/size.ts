import { PageTableError } from '../bits/index.ts';
import { INSPECT } from '../bits/inspect.ts';
import { wrongKind } from '../bits/wrong-kind.ts';

/** How large a page is: one of the sizes below, or a size of one's own. */
export interface Size {
  /** Bytes, a power of two. */
  asUsize(): bigint;
  /** The name, for texts. */
  toString(): string;
}

/** The smallest page of x86-64, in bytes. */
export const MIN_PAGE_SIZE = 4096n;

/** A size that is a type of its own: `Name` keeps them apart, so that pages of different sizes are different types. */
class StaticSizeOf<Name extends '4KB' | '2MB' | '1GB'> implements Size {
  /** Bytes. */
  readonly SIZE: bigint;
  /** Name for texts. */
  readonly PRETTY_NAME: Name;
  /** @internal Level of the table whose entries map pages of this size: 1 (PT), 2 (PD) or 3 (PDPT). */
  readonly level: number;

  constructor(name: Name, level: 1 | 2 | 3) {
    this.PRETTY_NAME = name;
    this.level = level;
    this.SIZE = MIN_PAGE_SIZE << BigInt(9 * (level - 1));
  }

  asUsize(): bigint {
    return this.SIZE;
  }

  toString(): string {
    return this.PRETTY_NAME;
  }

  /** @internal */
  [INSPECT](): string {
    return this.PRETTY_NAME;
  }
}

/** Pages of 4 KiB, mapped by entries of a PT. */
export type Size4Kb = StaticSizeOf<'4KB'>;
/** Pages of 2 MiB, mapped by entries of a PD. */
export type Size2Mb = StaticSizeOf<'2MB'>;
/** Pages of 1 GiB, mapped by entries of a PDPT. */
export type Size1Gb = StaticSizeOf<'1GB'>;
/** Any of the three sizes that are types of their own. */
export type StaticSize = Size4Kb | Size2Mb | Size1Gb;

/** Pages of 4 KiB, mapped by entries of a PT. */
export const Size4Kb: Size4Kb = new StaticSizeOf('4KB', 1);
/** Pages of 2 MiB, mapped by entries of a PD. */
export const Size2Mb: Size2Mb = new StaticSizeOf('2MB', 2);
/** Pages of 1 GiB, mapped by entries of a PDPT. */
export const Size1Gb: Size1Gb = new StaticSizeOf('1GB', 3);

/** The three sizes as one type: pages whose size is known at run time only. */
export class AnySize implements Size {
  /** Pages of 4 KiB. */
  static readonly Size4Kb: AnySize = new AnySize('Size4Kb', Size4Kb);
  /** Pages of 2 MiB. */
  static readonly Size2Mb: AnySize = new AnySize('Size2Mb', Size2Mb);
  /** Pages of 1 GiB. */
  static readonly Size1Gb: AnySize = new AnySize('Size1Gb', Size1Gb);

  /** The original's debug text: the name of the variant. */
  readonly variant: 'Size4Kb' | 'Size2Mb' | 'Size1Gb';
  private readonly size: StaticSize;

  private constructor(variant: AnySize['variant'], size: StaticSize) {
    this.variant = variant;
    this.size = size;
  }

  asUsize(): bigint {
    return this.size.SIZE;
  }

  /** Whether a size, of whatever type, has as many bytes. */
  equals(other: Size): boolean {
    return this.asUsize() === bytesOf('AnySize.equals', other);
  }

  toString(): string {
    return this.size.PRETTY_NAME;
  }

  /** @internal */
  [INSPECT](): string {
    return this.variant;
  }
}

/**
 * The bytes of a size.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` for what is no size; `MISALIGNED` for a size that is no power of two
 */
export function bytesOf(operation: string, size: Size): bigint {
  const bytes = typeof size?.asUsize === 'function' ? size.asUsize() : undefined;
  if (typeof bytes !== 'bigint') {
    throw wrongKind(operation, size, 'a page size: Size4Kb, Size2Mb, Size1Gb or one of AnySize');
  }
  if (bytes > 0n && (bytes & (bytes - 1n)) === 0n) return bytes;
  throw new PageTableError(
    'MISALIGNED',
    `${operation}: pages of ${bytes} bytes; expected a size that is a power of two`,
    { size: bytes },
  );
}
