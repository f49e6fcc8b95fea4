import { PageTableError } from '../bits/index.ts';

/**
 * Reads an address or another number: `0x` and hexadecimal digits, or bare hexadecimal digits, `_` between them allowed.
 *
 * @param what - what it is, for the message
 * @throws {@link PageTableError} `BAD_ARGUMENT` if it is not a number of at most 64 bits
 */
export function parseHex(what: string, text: string): bigint {
  const digits = text.replace(/^0x/i, '').replaceAll('_', '');
  if (!/^[0-9a-f]{1,16}$/i.test(digits)) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${what} is '${text}'; expected 1 to 16 hexadecimal digits, as in 0xffffffff81000000`,
      { text },
    );
  }
  return BigInt(`0x${digits}`);
}

/**
 * Reads a whole number, decimal or with `0x`.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` unless it lies in `[low, high]`
 */
export function parseCount(what: string, text: string, low: number, high: number): number {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : Number.NaN;
  if (!(value >= low && value <= high)) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${what} is '${text}'; expected a whole number in [${low}, ${high}]`,
      {
        text,
      },
    );
  }
  return value;
}

/**
 * Reads a size such as `4K`, `2MiB`, `0x1000` or `4096`.
 *
 * @throws {@link PageTableError} `BAD_ARGUMENT` if it is not one
 */
export function parseSize(what: string, text: string): bigint {
  const match = /^(0x[0-9a-f]{1,16}|[0-9]{1,19})\s*(?:([KMGTP])(?:i?B)?|B)?$/i.exec(text);
  const unit = match?.[2] === undefined ? 0 : 'KMGTP'.indexOf(match[2].toUpperCase()) + 1;
  if (match === null) {
    throw new PageTableError(
      'BAD_ARGUMENT',
      `${what} is '${text}'; expected a size, as in 4K, 2MiB or 0x1000`,
      { text },
    );
  }
  return BigInt(match[1]) << BigInt(10 * unit);
}
