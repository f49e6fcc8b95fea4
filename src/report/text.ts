import { addressOf, hexPage } from '../bits/index.ts';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB', 'EiB'] as const;

/** A number of bytes in its largest unit: `2 MiB` if exact, else one decimal, rounded down: `14.0 MiB`. */
export function sizeText(bytes: bigint): string {
  const unit = UNITS.findLastIndex((_, i) => i === 0 || bytes >= 1n << BigInt(10 * i));
  const one = 1n << BigInt(10 * unit);
  const exact = bytes % one === 0n;
  return `${bytes / one}${exact ? '' : `.${((bytes % one) * 10n) / one}`} ${UNITS[unit]}`;
}

/** Size of a number of 4-KiB pages. */
export function pagesText(pages: number): string {
  return sizeText(addressOf(pages));
}

/** `4K`, `2M`, `1G` for `log2` of a page's bytes. */
export function pageSizeText(shift: number): string {
  return sizeText(1n << BigInt(shift)).replace(/ (.).*$/, '$1');
}

/** A count with thousands separated: `74,337`. */
export function countText(count: number): string {
  return count.toLocaleString('en-US');
}

/** `1 region`, `3 regions`. */
export function plural(count: number, noun: string): string {
  return `${countText(count)} ${count === 1 ? noun : noun.replace(/y$/, 'ie').concat('s')}`;
}

/** `first-end` in 16 hexadecimal digits each; the end of the address space, 2^64, shows as 0. */
export function rangeText(first: number, end: number): string {
  return `${hexPage(first)}-${hexPage(end % 2 ** 52)}`;
}

/**
 * Lays out rows in columns separated by two spaces. Columns named in `right` are aligned to the right. The last cell of a
 * row with fewer cells than the first one is a remark, for which no column is widened.
 */
export function layOut(
  rows: readonly (readonly string[])[],
  right: ReadonlySet<number> = new Set(),
): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    const remark = row.length < rows[0].length ? row.length - 1 : -1;
    row.forEach((cell, i) => {
      if (i === remark) return;
      widths[i] = Math.max(widths[i] ?? 0, cell.length);
    });
  }
  return rows.map((row) =>
    row
      .map((cell, i) => (right.has(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd(),
  );
}

/** Joins pieces with `, ` into lines of at most `width` characters, each indented. */
export function wrap(pieces: readonly string[], indent: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const piece of pieces) {
    const longer = line === '' ? piece : `${line}, ${piece}`;
    if (line !== '' && indent.length + longer.length > width) {
      lines.push(`${indent}${line},`);
      line = piece;
    } else {
      line = longer;
    }
  }
  return line === '' ? lines : [...lines, indent + line];
}
