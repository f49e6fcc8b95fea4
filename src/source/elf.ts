import { hex, PageTableError } from '../bits/index.ts';
import type { ByteSource } from './bytes.ts';

/** Program header types: memory, and notes. */
export const PT_LOAD = 1;
export const PT_NOTE = 4;

/** The machines of an ELF header whose memory images are understood. */
export const EM_386 = 3;
export const EM_X86_64 = 62;
export const EM_AARCH64 = 183;
export const EM_RISCV = 243;

/** What the header of an ELF core says. */
export interface ElfHeader {
  /** Width of addresses and offsets in the file's own structures. */
  readonly bits: 32 | 64;
  /** `e_machine`. */
  readonly machine: number;
  /** Where the program headers stand; the whole table is inside the file. */
  readonly programHeaders: { readonly offset: number; readonly count: number; readonly entryBytes: number };
}

/** A PT_LOAD or PT_NOTE program header. Sums of its fields stay below 2^53. */
export interface ElfSegment {
  /** Its place in the program header table. */
  readonly index: number;
  readonly type: typeof PT_LOAD | typeof PT_NOTE;
  /** `p_offset`: may lie past the end of the file. */
  readonly offset: number;
  /** `p_paddr`; `undefined` where all its bits are set, which is how Linux says that there is none. */
  readonly physical: number | undefined;
  /** `p_filesz`. */
  readonly fileBytes: number;
  /** `p_memsz`. */
  readonly memoryBytes: number;
}

const ET_CORE = 4;
const PN_XNUM = 0xffff;
const IDENT_BYTES = 16;
const BATCH_BYTES = 1 << 18;
/** About fifty times the largest dump known, so that the table of segments fits into memory. */
const MAX_SEGMENTS = 1 << 22;

/** Where the fields stand. ELF specification (gABI), "ELF Header", "Section Header" and "Program Header". */
const LAYOUT_64 = {
  bits: 64,
  header: { bytes: 64, phoff: 32, shoff: 40, phentsize: 54, phnum: 56 },
  section: { bytes: 64, info: 44 },
  program: { bytes: 56, offset: 8, paddr: 24, filesz: 32, memsz: 40 },
} as const;
const LAYOUT_32 = {
  bits: 32,
  header: { bytes: 52, phoff: 28, shoff: 32, phentsize: 42, phnum: 44 },
  section: { bytes: 40, info: 28 },
  program: { bytes: 32, offset: 4, paddr: 12, filesz: 16, memsz: 20 },
} as const;
type Layout = typeof LAYOUT_32 | typeof LAYOUT_64;

/** Whether a source begins with the ELF magic. */
export async function isElf(bytes: ByteSource): Promise<boolean> {
  if (bytes.size < 4) return false;
  const [a, b, c, d] = await bytes.read(0, 4);
  return a === 0x7f && b === 0x45 && c === 0x4c && d === 0x46;
}

/**
 * Reads and checks the header of an ELF core. `e_ehsize` is not looked at: QEMU 7.2 writes 8 there.
 *
 * @throws {@link PageTableError} `UNSUPPORTED_IMAGE` if it is not a little-endian ELF core, `TRUNCATED_IMAGE` or
 *   `MALFORMED_IMAGE` if its header or program header table is, `LIMIT_EXCEEDED` beyond 4,194,304 segments
 * @see ELF specification (gABI), chapter 4, "ELF Header"; `PN_XNUM` in elf(5)
 */
export async function readElfHeader(bytes: ByteSource): Promise<ElfHeader> {
  if (!(await isElf(bytes))) {
    throw new PageTableError(
      'UNSUPPORTED_IMAGE',
      'ELF header: expected the magic 7f 45 4c 46 at offset 0',
      {},
    );
  }
  const ident = await readPart(bytes, 0, IDENT_BYTES, 'identification');
  const layout = layoutOf(ident.getUint8(4), ident.getUint8(5));
  const fields = layout.header;
  const view = await readPart(bytes, 0, fields.bytes, 'header');
  const type = view.getUint16(16, true);
  if (type !== ET_CORE) {
    const found = { 1: 'a relocatable file', 2: 'a program', 3: 'a shared object' }[type] ?? 'not known';
    throw unsupported(`e_type ${type} (${found}); expected 4 (ET_CORE), a core file`, { type });
  }

  const entryBytes = view.getUint16(fields.phentsize, true);
  let count = view.getUint16(fields.phnum, true);
  if (count === PN_XNUM) {
    const sections = toNumber(wordAt(view, fields.shoff, layout), 'e_shoff');
    const section = await readPart(
      bytes,
      sections,
      layout.section.bytes,
      'section header 0 (it has the real e_phnum)',
    );
    count = section.getUint32(layout.section.info, true);
  }
  if (count > 0 && entryBytes < layout.program.bytes) {
    throw new PageTableError(
      'MALFORMED_IMAGE',
      `ELF header: e_phentsize ${entryBytes}; expected at least ${layout.program.bytes}`,
      { entryBytes },
    );
  }
  const offset = toNumber(wordAt(view, fields.phoff, layout), 'e_phoff');
  if (offset + count * entryBytes > bytes.size) {
    throw new PageTableError(
      'TRUNCATED_IMAGE',
      `ELF header: ${count} program headers of ${entryBytes} bytes at offset ${hex(offset)}; ` +
        `the file ends at ${hex(bytes.size)}`,
      { count, entryBytes, offset, size: bytes.size },
    );
  }
  if (count > MAX_SEGMENTS) {
    throw new PageTableError(
      'LIMIT_EXCEEDED',
      `ELF header: ${count} segments; at most ${MAX_SEGMENTS} are read`,
      {
        count,
        limit: MAX_SEGMENTS,
      },
    );
  }
  return {
    bits: layout.bits,
    machine: view.getUint16(18, true),
    programHeaders: { offset, count, entryBytes },
  };
}

/**
 * Visits the PT_LOAD and PT_NOTE program headers in file order, reading the table in bounded batches.
 *
 * @param visit - called once for each
 * @throws {@link PageTableError} `MALFORMED_IMAGE` if the fields of a segment contradict each other or reach 2^53
 */
export async function readSegments(
  bytes: ByteSource,
  header: ElfHeader,
  visit: (segment: ElfSegment) => void,
): Promise<void> {
  const { offset, count, entryBytes } = header.programHeaders;
  const layout = header.bits === 64 ? LAYOUT_64 : LAYOUT_32;
  const perBatch = Math.max(1, Math.floor(BATCH_BYTES / entryBytes));
  for (let first = 0; first < count; first += perBatch) {
    const batch = Math.min(perBatch, count - first);
    const view = await readPart(bytes, offset + first * entryBytes, batch * entryBytes, 'program headers');
    for (let i = 0; i < batch; i++) {
      const segment = segmentAt(view, i * entryBytes, first + i, layout);
      if (segment !== undefined) visit(segment);
    }
  }
}

function segmentAt(view: DataView, at: number, index: number, layout: Layout): ElfSegment | undefined {
  const type = view.getUint32(at, true);
  if (type !== PT_LOAD && type !== PT_NOTE) return undefined;
  const name = `segment ${index} (${type === PT_LOAD ? 'PT_LOAD' : 'PT_NOTE'}):`;
  const fields = layout.program;
  const paddr = wordAt(view, at + fields.paddr, layout);
  const offset = toNumber(wordAt(view, at + fields.offset, layout), `${name} p_offset`);
  const fileBytes = toNumber(wordAt(view, at + fields.filesz, layout), `${name} p_filesz`);
  const memoryBytes = toNumber(wordAt(view, at + fields.memsz, layout), `${name} p_memsz`);
  // Notes are found by their place in the file alone.
  const none = type === PT_NOTE || paddr === (1n << BigInt(layout.bits)) - 1n;
  const physical = none ? undefined : toNumber(paddr, `${name} p_paddr`);
  checkSum(offset, fileBytes, `${name} p_offset + p_filesz`);
  if (physical !== undefined) checkSum(physical, memoryBytes, `${name} p_paddr + p_memsz`);
  if (type === PT_LOAD && fileBytes > memoryBytes) {
    throw new PageTableError(
      'MALFORMED_IMAGE',
      `ELF ${name} p_filesz ${hex(fileBytes)} is more than p_memsz ${hex(memoryBytes)}`,
      { segment: index, fileBytes, memoryBytes },
    );
  }
  return { index, type, offset, physical, fileBytes, memoryBytes };
}

function layoutOf(elfClass: number, data: number): Layout {
  if (elfClass !== 1 && elfClass !== 2) {
    throw unsupported(`class ${elfClass}; expected 1 (32 bits) or 2 (64 bits)`, { elfClass });
  }
  if (data !== 1) {
    const found = data === 2 ? '2 (big-endian)' : `${data}`;
    throw unsupported(`data encoding ${found}; expected 1 (little-endian)`, { data });
  }
  return elfClass === 2 ? LAYOUT_64 : LAYOUT_32;
}

async function readPart(bytes: ByteSource, offset: number, length: number, what: string): Promise<DataView> {
  if (length > bytes.size - offset) {
    throw new PageTableError(
      'TRUNCATED_IMAGE',
      `ELF ${what}: ${length} bytes at offset ${hex(offset)}; the file ends at ${hex(bytes.size)}`,
      { offset, length, size: bytes.size },
    );
  }
  const part = await bytes.read(offset, length);
  return new DataView(part.buffer, part.byteOffset, part.byteLength);
}

function wordAt(view: DataView, at: number, layout: Layout): bigint {
  return layout.bits === 64 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
}

function toNumber(value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new PageTableError('MALFORMED_IMAGE', `ELF ${what} ${hex(value)}; expected less than 2^53`, {
      value,
    });
  }
  // Below 2^53, checked above.
  return Number(value);
}

function checkSum(a: number, b: number, what: string): void {
  if (a + b <= Number.MAX_SAFE_INTEGER) return;
  throw new PageTableError('MALFORMED_IMAGE', `ELF ${what}: ${hex(a)} + ${hex(b)}; expected less than 2^53`, {
    a,
    b,
  });
}

function unsupported(found: string, detail: Record<string, number>): PageTableError {
  return new PageTableError('UNSUPPORTED_IMAGE', `ELF header: ${found}`, detail);
}
