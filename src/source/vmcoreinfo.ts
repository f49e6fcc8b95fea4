import { FRAME_BYTES, hex } from '../bits/index.ts';
import type { Architecture, NamedRoot } from '../machine/index.ts';

/** Linux `arch/x86/include/asm/page_64_types.h`, `__START_KERNEL_map`: where the kernel image is linked. */
const START_KERNEL_MAP = 0xffff_ffff_8000_0000n;
/** Physical addresses of any of these machines' kernels have at most 52 bits. */
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
 * @param architecture - of the machine
 * @see Linux `Documentation/admin-guide/kdump/vmcoreinfo.rst`, sections "x86_64", "arm64" and "RISCV64"; what RISC-V
 *   writes stands in `arch/riscv/kernel/vmcore_info.c`
 */
export function vmcoreinfoRoots(
  info: ReadonlyMap<string, string>,
  architecture: Architecture = 'x86',
): VmcoreinfoRoots {
  const name = ROOT_SYMBOLS.find((symbol) => info.has(`SYMBOL(${symbol})`));
  if (name === undefined) return { roots: [], remarks: [] };
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
  const { offsetOf, shapeOf } = KERNELS[architecture];
  const offset = offsetOf(info, number);
  if (symbol === undefined || offset === undefined) return { roots: [], remarks };
  const address = (symbol + offset.add) & ~offset.notAddress;
  if (address < 0n || address >= PHYSICAL_END || address % BigInt(FRAME_BYTES) !== 0n) {
    remarks.push(
      `${source} was not used as a root: ${hex(symbol)} with ${offset.text} gives ${hex(address)}, ` +
        'which is not the physical address of a page.',
    );
    return { roots: [], remarks };
  }
  return { roots: [{ name, address, source, ...shapeOf(info, remarks) }], remarks };
}

/** What a kernel says of its page tables besides the root. */
type Shape = Pick<NamedRoot, 'levels' | 'vaBits' | 'pageBytes'>;

type ReadNumber = (key: string, parse: (text: string) => bigint | undefined) => bigint | undefined;

function x86Offset(info: ReadonlyMap<string, string>, number: ReadNumber): ImageOffset | undefined {
  const physBase = number('NUMBER(phys_base)', parseDecimal);
  const smeMask = info.has('NUMBER(sme_mask)') ? number('NUMBER(sme_mask)', parseDecimal) : 0n;
  if (physBase === undefined || smeMask === undefined) return undefined;
  return { text: `phys_base ${hex(physBase)}`, add: physBase - START_KERNEL_MAP, notAddress: smeMask };
}

function aarch64Offset(_: ReadonlyMap<string, string>, number: ReadNumber): ImageOffset | undefined {
  const voffset = number('NUMBER(kimage_voffset)', parseHex);
  if (voffset === undefined) return undefined;
  return { text: `kimage_voffset ${hex(voffset)}`, add: -voffset, notAddress: 0n };
}

/** A 32-bit kernel calculates in 32 bits. */
function riscvOffset(info: ReadonlyMap<string, string>, number: ReadNumber): ImageOffset | undefined {
  const offset = number('NUMBER(va_kernel_pa_offset)', parseHex);
  if (offset === undefined) return undefined;
  const wrapped = info.get('NUMBER(VA_BITS)') === '32' ? -1n << 32n : -1n << 64n;
  return { text: `va_kernel_pa_offset ${hex(offset)}`, add: -offset, notAddress: wrapped };
}

function x86Levels(info: ReadonlyMap<string, string>, remarks: string[]): Shape {
  const l5 = info.get('NUMBER(pgtable_l5_enabled)');
  if (l5 === '0' || l5 === '1') return { levels: l5 === '1' ? 5 : 4 };
  if (l5 !== undefined)
    remarks.push(
      `NUMBER(pgtable_l5_enabled) in VMCOREINFO is neither 0 nor 1: ${JSON.stringify(l5.slice(0, 40))}.`,
    );
  return {};
}

/** The granule, and how many bits the kernel's half has: by T1SZ, and with 64-KiB pages by VA_BITS. */
function aarch64Shape(info: ReadonlyMap<string, string>, remarks: string[]): Shape {
  const pageBytes = readSmall(info, remarks, 'PAGESIZE', parseDecimal, 4096, 65536);
  const size =
    pageBytes === 65536 ? undefined : readSmall(info, remarks, 'NUMBER(TCR_EL1_T1SZ)', parseHex, 12, 48);
  const vaBits =
    size === undefined ? readSmall(info, remarks, 'NUMBER(VA_BITS)', parseDecimal, 16, 52) : 64 - size;
  return {
    ...(pageBytes === undefined ? {} : { pageBytes }),
    ...(vaBits === undefined ? {} : { vaBits }),
  };
}

/** The mode of satp, by the bits of an address that it translates. */
function riscvShape(info: ReadonlyMap<string, string>, remarks: string[]): Shape {
  const vaBits = readSmall(info, remarks, 'NUMBER(VA_BITS)', parseDecimal, 32, 57);
  return vaBits === undefined ? {} : { vaBits };
}

/** A number in `[low, high]`; a remark if it is there and is no such number. */
function readSmall(
  info: ReadonlyMap<string, string>,
  remarks: string[],
  key: string,
  parse: (text: string) => bigint | undefined,
  low: number,
  high: number,
): number | undefined {
  const text = info.get(key);
  const value = text === undefined ? undefined : parse(text);
  // Compared as a bigint; what is left is small.
  if (value !== undefined && value >= low && value <= high) return Number(value);
  if (text !== undefined) {
    const found = JSON.stringify(text.slice(0, 40));
    remarks.push(`${key} in VMCOREINFO is not a number from ${low} to ${high}: ${found}.`);
  }
  return undefined;
}

/** How each architecture's kernel says where its image lies, and what its tables are like. */
const KERNELS: Readonly<
  Record<
    Architecture,
    {
      readonly offsetOf: (info: ReadonlyMap<string, string>, number: ReadNumber) => ImageOffset | undefined;
      readonly shapeOf: (info: ReadonlyMap<string, string>, remarks: string[]) => Shape;
    }
  >
> = {
  x86: { offsetOf: x86Offset, shapeOf: x86Levels },
  aarch64: { offsetOf: aarch64Offset, shapeOf: aarch64Shape },
  riscv: { offsetOf: riscvOffset, shapeOf: riscvShape },
};

/** Symbols are written with `%llx`. */
function parseHex(text: string): bigint | undefined {
  return /^(0x)?[0-9a-f]{1,16}$/i.test(text) ? BigInt(`0x${text.replace(/^0x/i, '')}`) : undefined;
}

/** Numbers are written with `%ld`, unless their maker chose `0x%llx`. */
function parseDecimal(text: string): bigint | undefined {
  return /^-?[0-9]{1,20}$/.test(text) ? BigInt(text) : undefined;
}
