import { FRAME_BYTES, hex } from '../bits/index.ts';
import type { NamedRoot } from '../machine/index.ts';

/** Linux `arch/x86/include/asm/page_64_types.h`, `__START_KERNEL_map`: where the kernel image is linked. */
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n;
/** Physical addresses of x86-64 have at most 52 bits. */
const PHYSICAL_END = 1n << 52n;
const ROOT_SYMBOLS = ['swapper_pg_dir', 'init_top_pgt'] as const;

/**
 * Splits the text of a VMCOREINFO note into its keys and values. Lines without `=` are left out; of a repeated key the
 * last value counts.
 *
 * @param text - `KEY=value` lines, perhaps followed by zero bytes
 */
export function parseVmcoreinfo(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.replace(/\0+$/, '').split('\n')) {
    const equals = line.indexOf('=');
    if (equals > 0) values.set(line.slice(0, equals), line.slice(equals + 1).trim());
  }
  return values;
}

/**
 * The kernel's page-table root of an x86-64 Linux machine. Nothing is guessed: without `NUMBER(phys_base)`, or where a
 * number does not make sense, there is a remark and no root.
 *
 * @param info - from {@link parseVmcoreinfo}
 * @see Linux `Documentation/admin-guide/kdump/vmcoreinfo.rst`, section "x86_64"
 */
export function vmcoreinfoRoots(info: ReadonlyMap<string, string>): {
  readonly roots: readonly NamedRoot[];
  readonly remarks: readonly string[];
} {
  const name = ROOT_SYMBOLS.find((symbol) => info.has(`SYMBOL(${symbol})`));
  if (name === undefined) return { roots: [], remarks: [] };
  const source = `VMCOREINFO SYMBOL(${name})`;
  const remarks: string[] = [];
  const number = (key: string, parse: (text: string) => bigint | undefined): bigint | undefined => {
    const text = info.get(key);
    const value = text === undefined ? undefined : parse(text);
    if (value === undefined) {
      const found =
        text === undefined ? 'is missing' : `is not a number: ${JSON.stringify(text.slice(0, 40))}`;
      remarks.push(`${source} was not used as a root, because ${key} ${found}.`);
    }
    return value;
  };

  const symbol = number(`SYMBOL(${name})`, parseHex);
  const physBase = number('NUMBER(phys_base)', parseNumber);
  const smeMask = info.has('NUMBER(sme_mask)') ? number('NUMBER(sme_mask)', parseNumber) : 0n;
  if (symbol === undefined || physBase === undefined || smeMask === undefined) return { roots: [], remarks };

  const sum = symbol - START_KERNEL_MAP + physBase;
  const address = sum & ~smeMask;
  if (sum < 0n || address >= PHYSICAL_END || address % BigInt(FRAME_BYTES) !== 0n) {
    remarks.push(
      `${source} was not used as a root: ${hex(symbol)} with phys_base ${hex(physBase)} gives ${hex(address)}, ` +
        'which is not the physical address of a page.',
    );
    return { roots: [], remarks };
  }
  const l5 = info.get('NUMBER(pgtable_l5_enabled)');
  if (l5 === '0' || l5 === '1')
    return { roots: [{ name, address, source, levels: l5 === '1' ? 5 : 4 }], remarks };
  if (l5 !== undefined)
    remarks.push(
      `NUMBER(pgtable_l5_enabled) in VMCOREINFO is neither 0 nor 1: ${JSON.stringify(l5.slice(0, 40))}.`,
    );
  return { roots: [{ name, address, source }], remarks };
}

/** Symbols are written with `%llx`. */
function parseHex(text: string): bigint | undefined {
  return /^(0x)?[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text.replace(/^0x/i, '')}`) : undefined;
}

/** Numbers are written with `%ld`. */
function parseNumber(text: string): bigint | undefined {
  return /^-?[0-9]{1,20}$/.test(text) ? BigInt(text) : undefined;
}
