import { FRAME_BYTES, hex } from '../bits/index.ts';
import type { Architecture, NamedRoot } from '../machine/index.ts';

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

/** What VMCOREINFO says of page tables. */
export interface VmcoreinfoRoots {
  readonly roots: readonly NamedRoot[];
  /** Why something that it says was not used. */
  readonly remarks: readonly string[];
}

/** Where a kernel image lies: what is added to its virtual addresses, and bits of the sum that are no address. */
interface ImageOffset {
  /** The key that says it, and its value, for messages. */
  readonly text: string;
  readonly add: bigint;
  readonly notAddress: bigint;
}

/**
 * The kernel's page-table root of a Linux machine. Nothing is guessed: where a number is missing or does not make sense,
 * there is a remark and no root.
 *
 * @param info - from {@link parseVmcoreinfo}
 * @param architecture - of the machine; RISC-V has no root here
 * @see Linux `Documentation/admin-guide/kdump/vmcoreinfo.rst`, sections "x86_64" and "arm64"
 */
export function vmcoreinfoRoots(
  info: ReadonlyMap<string, string>,
  architecture: Architecture = 'x86',
): VmcoreinfoRoots {
  const name = ROOT_SYMBOLS.find((symbol) => info.has(`SYMBOL(${symbol})`));
  if (name === undefined || architecture === 'riscv') return { roots: [], remarks: [] };
  const source = `VMCOREINFO SYMBOL(${name})`;
  const remarks: string[] = [];
  const number: ReadNumber = (key, parse) => {
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
  const offset = architecture === 'x86' ? x86Offset(info, number) : aarch64Offset(number);
  if (symbol === undefined || offset === undefined) return { roots: [], remarks };
  const sum = symbol + offset.add;
  const address = sum & ~offset.notAddress;
  if (sum < 0n || address >= PHYSICAL_END || address % BigInt(FRAME_BYTES) !== 0n) {
    remarks.push(
      `${source} was not used as a root: ${hex(symbol)} with ${offset.text} gives ${hex(address)}, ` +
        'which is not the physical address of a page.',
    );
    return { roots: [], remarks };
  }
  const shape = architecture === 'x86' ? x86Levels(info, remarks) : aarch64Shape(info, remarks);
  return { roots: [{ name, address, source, ...shape }], remarks };
}

type ReadNumber = (key: string, parse: (text: string) => bigint | undefined) => bigint | undefined;

function x86Offset(info: ReadonlyMap<string, string>, number: ReadNumber): ImageOffset | undefined {
  const physBase = number('NUMBER(phys_base)', parseDecimal);
  const smeMask = info.has('NUMBER(sme_mask)') ? number('NUMBER(sme_mask)', parseDecimal) : 0n;
  if (physBase === undefined || smeMask === undefined) return undefined;
  return { text: `phys_base ${hex(physBase)}`, add: physBase - START_KERNEL_MAP, notAddress: smeMask };
}

function aarch64Offset(number: ReadNumber): ImageOffset | undefined {
  const voffset = number('NUMBER(kimage_voffset)', parseHex);
  if (voffset === undefined) return undefined;
  return { text: `kimage_voffset ${hex(voffset)}`, add: -voffset, notAddress: 0n };
}

function x86Levels(info: ReadonlyMap<string, string>, remarks: string[]): Pick<NamedRoot, 'levels'> {
  const l5 = info.get('NUMBER(pgtable_l5_enabled)');
  if (l5 === '0' || l5 === '1') return { levels: l5 === '1' ? 5 : 4 };
  if (l5 !== undefined)
    remarks.push(
      `NUMBER(pgtable_l5_enabled) in VMCOREINFO is neither 0 nor 1: ${JSON.stringify(l5.slice(0, 40))}.`,
    );
  return {};
}

/** The granule, and how many bits the kernel's half has: by T1SZ, and with 64-KiB pages by VA_BITS. */
function aarch64Shape(
  info: ReadonlyMap<string, string>,
  remarks: string[],
): Pick<NamedRoot, 'pageBytes' | 'vaBits'> {
  const read = (key: string, parse: (text: string) => bigint | undefined, low: bigint, high: bigint) => {
    const text = info.get(key);
    const value = text === undefined ? undefined : parse(text);
    if (value !== undefined && value >= low && value <= high) return Number(value);
    if (text !== undefined) {
      const found = JSON.stringify(text.slice(0, 40));
      remarks.push(`${key} in VMCOREINFO is not a number from ${low} to ${high}: ${found}.`);
    }
    return undefined;
  };
  const pageBytes = read('PAGESIZE', parseDecimal, 4096n, 65536n);
  const size = pageBytes === 65536 ? undefined : read('NUMBER(TCR_EL1_T1SZ)', parseHex, 12n, 48n);
  const vaBits = size === undefined ? read('NUMBER(VA_BITS)', parseDecimal, 16n, 52n) : 64 - size;
  return {
    ...(pageBytes === undefined ? {} : { pageBytes }),
    ...(vaBits === undefined ? {} : { vaBits }),
  };
}

/** Symbols are written with `%llx`. */
function parseHex(text: string): bigint | undefined {
  return /^(0x)?[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text.replace(/^0x/i, '')}`) : undefined;
}

/** Numbers are written with `%ld`, unless their maker chose `0x%llx`. */
function parseDecimal(text: string): bigint | undefined {
  return /^-?[0-9]{1,20}$/.test(text) ? BigInt(text) : undefined;
}
