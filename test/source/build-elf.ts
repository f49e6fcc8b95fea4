// Builds ELF cores from the field lists of the ELF specification and images.md 5.1, independently of src/source.

export interface LoadSpec {
  readonly physical: bigint;
  readonly data?: Uint8Array;
  /** p_memsz; the data's length if not given. */
  readonly memoryBytes?: bigint;
  /** p_offset instead of where the data was put. */
  readonly offset?: bigint;
  /** p_filesz instead of the data's length. */
  readonly fileBytes?: bigint;
  readonly virtual?: bigint;
}

export interface ElfSpec {
  readonly bits?: 32 | 64;
  readonly machine?: number;
  readonly type?: number;
  readonly elfClass?: number;
  readonly encoding?: number;
  readonly ehsize?: number;
  readonly entryBytes?: number;
  readonly notes?: readonly Uint8Array[];
  readonly loads?: readonly LoadSpec[];
  /** Puts section header 0 right behind the ELF header, as QEMU 7.2 does, and program headers after it. */
  readonly sectionsFirst?: boolean;
  /** Writes 0xffff to e_phnum and the count to sh_info. */
  readonly extendedCount?: boolean;
  /** Puts the program headers and notes behind the data. */
  readonly headersLast?: boolean;
}

export interface BuiltElf {
  readonly bytes: Uint8Array;
  readonly headersEnd: number;
  readonly notesStart: number;
  readonly notesEnd: number;
  /** File offset of each load's data. */
  readonly dataOffsets: readonly number[];
}

export function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

export function buildElf(spec: ElfSpec): BuiltElf {
  const wide = (spec.bits ?? 64) === 64;
  const [headerBytes, sectionBytes, programBytes] = wide ? [64, 64, 56] : [52, 40, 32];
  const entryBytes = spec.entryBytes ?? programBytes;
  const loads = spec.loads ?? [];
  const notes = concat(spec.notes ?? []);
  const count = loads.length + (spec.notes ? 1 : 0);
  const hasSection = spec.sectionsFirst === true || spec.extendedCount === true;

  let at = headerBytes;
  const sectionAt = at;
  if (hasSection) at += sectionBytes;
  const dataBytes = loads.reduce((sum, load) => sum + (load.data?.length ?? 0), 0);
  const tableAt = spec.headersLast ? at + dataBytes : at;
  const notesStart = tableAt + count * entryBytes;
  const notesEnd = notesStart + notes.length;
  let dataAt = spec.headersLast ? at : notesEnd;
  const bytes = new Uint8Array(notesEnd + (spec.headersLast ? 0 : dataBytes));
  const view = new DataView(bytes.buffer);
  const word = (offset: number, value: bigint): void => {
    if (wide) view.setBigUint64(offset, value, true);
    else view.setUint32(offset, Number(value), true);
  };

  bytes.set([0x7f, 0x45, 0x4c, 0x46, spec.elfClass ?? (wide ? 2 : 1), spec.encoding ?? 1, 1]);
  view.setUint16(16, spec.type ?? 4, true);
  view.setUint16(18, spec.machine ?? 62, true);
  view.setUint32(20, 1, true);
  // e_entry, e_phoff and e_shoff are words; after e_flags come six half-words.
  const wordBytes = wide ? 8 : 4;
  word(24 + wordBytes, BigInt(tableAt));
  if (hasSection) word(24 + 2 * wordBytes, BigInt(sectionAt));
  const halves = 24 + 3 * wordBytes + 4;
  view.setUint16(halves, spec.ehsize ?? headerBytes, true);
  view.setUint16(halves + 2, entryBytes, true);
  view.setUint16(halves + 4, spec.extendedCount ? 0xffff : count, true);
  if (hasSection) {
    view.setUint16(halves + 6, sectionBytes, true);
    view.setUint16(halves + 8, 1, true);
  }
  // sh_info: after name, type, flags, addr, offset, size (words from the third on) and link.
  if (spec.extendedCount) view.setUint32(sectionAt + 8 + 4 * wordBytes + 4, count, true);

  const dataOffsets: number[] = [];
  let entry = tableAt;
  const program = (
    type: number,
    fields: { offset: bigint; va: bigint; pa: bigint; file: bigint; memory: bigint },
  ) => {
    view.setUint32(entry, type, true);
    const first = entry + (wide ? 8 : 4);
    [fields.offset, fields.va, fields.pa, fields.file, fields.memory].forEach((value, i) => {
      word(first + i * wordBytes, value);
    });
    entry += entryBytes;
  };
  if (spec.notes) {
    const file = BigInt(notes.length);
    program(4, { offset: BigInt(notesStart), va: 0n, pa: 0n, file, memory: file });
    bytes.set(notes, notesStart);
  }
  for (const load of loads) {
    const data = load.data ?? new Uint8Array(0);
    const file = load.fileBytes ?? BigInt(data.length);
    program(1, {
      offset: load.offset ?? BigInt(dataAt),
      va: load.virtual ?? 0n,
      pa: load.physical,
      file,
      memory: load.memoryBytes ?? file,
    });
    bytes.set(data, dataAt);
    dataOffsets.push(dataAt);
    dataAt += data.length;
  }
  return { bytes, headersEnd: notesStart, notesStart, notesEnd, dataOffsets };
}

/** A note: namesz, descsz, type, name and description, both padded to 4. */
export function note(name: string, type: number, description: Uint8Array): Uint8Array {
  const nameBytes = new TextEncoder().encode(`${name}\0`);
  const pad = (length: number): number => (length + 3) & ~3;
  const result = new Uint8Array(12 + pad(nameBytes.length) + pad(description.length));
  const view = new DataView(result.buffer);
  view.setUint32(0, nameBytes.length, true);
  view.setUint32(4, description.length, true);
  view.setUint32(8, type, true);
  result.set(nameBytes, 12);
  result.set(description, 12 + pad(nameBytes.length));
  return result;
}

/** A description of `size` bytes with little-endian 64-bit values at offsets. */
export function description(
  size: number,
  values: Readonly<Record<number, bigint>>,
  width: 4 | 8 = 8,
): Uint8Array {
  const result = new Uint8Array(size);
  const view = new DataView(result.buffer);
  for (const [offset, value] of Object.entries(values)) {
    if (width === 8) view.setBigUint64(Number(offset), value, true);
    else view.setUint32(Number(offset), Number(value), true);
  }
  return result;
}

/** A `QEMU` note (QEMUCPUState) with values at the offsets of images.md 5.1. */
export function qemuNote(size: number, values: Readonly<Record<number, bigint>>, version = 1n): Uint8Array {
  return note('QEMU', 0, description(size, { 0: version | (BigInt(size) << 32n), ...values }));
}

/** Bytes that tell where they belong: each is a mix of its own physical address. */
export function pattern(physical: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => patternByte(physical + i));
}

/** The byte of {@link pattern} at a physical address. Never zero. */
export function patternByte(address: number): number {
  return 1 + ((Math.imul(address, 0x9e3779b1) >>> 20) % 255);
}
