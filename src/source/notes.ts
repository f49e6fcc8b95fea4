import { hex, PageTableError } from '../bits/index.ts';
import type { Registers } from '../machine/index.ts';
import type { ByteSource } from './bytes.ts';
import { prstatusRegisters, qemuRegisters } from './cpu-notes.ts';
import type { ElfSegment } from './elf.ts';

/** What the notes of a core say. */
export interface CoreNotes {
  /** One per processor, in the order of the notes. */
  readonly cpus: readonly Registers[];
  /** Whether QEMU left notes, understood or not. */
  readonly qemu: boolean;
  /** Text of the VMCOREINFO note. */
  readonly vmcoreinfo: string | undefined;
  readonly remarks: readonly string[];
}

const HEADER_BYTES = 12;
const NT_PRSTATUS = 1;
const MAX_NOTE_BYTES = 64 << 20;
const MAX_NOTE_SEGMENTS = 1 << 16;
/** Linux reserves one page for it. */
const MAX_VMCOREINFO_BYTES = 1 << 20;
/** None of the names looked for is longer. */
const MAX_NAME_BYTES = 16;

/**
 * Reads all notes of a core. QEMU's note `i` and NT_PRSTATUS note `i` are of one processor; where both have a register,
 * QEMU's counts.
 *
 * @param machine - `e_machine`
 * @param segments - the PT_NOTE segments
 * @throws {@link PageTableError} `TRUNCATED_IMAGE` if the file ends before the notes do, `MALFORMED_IMAGE` if a note
 *   leaves its segment, `LIMIT_EXCEEDED` beyond 64 MiB of notes or 65,536 segments of them
 */
export async function readNotes(
  bytes: ByteSource,
  machine: number,
  segments: readonly ElfSegment[],
): Promise<CoreNotes> {
  checkLimits(segments);
  const collected = new NoteCollector(machine);
  for (const { index, offset, fileBytes } of segments) {
    if (fileBytes > bytes.size - offset) {
      throw new PageTableError(
        'TRUNCATED_IMAGE',
        `ELF segment ${index} (PT_NOTE): ${fileBytes} bytes at offset ${hex(offset)}; the file ends at ${hex(bytes.size)}`,
        { segment: index, offset, fileBytes, size: bytes.size },
      );
    }
    visitNotes(await bytes.read(offset, fileBytes), offset, (name, type, description) =>
      collected.add(name, type, description),
    );
  }
  return collected.result();
}

/** Sorts notes into what is known from them. */
class NoteCollector {
  private readonly machine: number;
  /** `undefined` keeps the place of a note that is not understood. */
  private readonly prstatus: (Registers | undefined)[] = [];
  private readonly qemu: (Registers | undefined)[] = [];
  private readonly remarks: string[] = [];
  private vmcoreinfo: string | undefined;

  constructor(machine: number) {
    this.machine = machine;
  }

  add(name: string, type: number, description: DataView): void {
    if (name === 'CORE' && type === NT_PRSTATUS) {
      this.prstatus.push(prstatusRegisters(this.machine, description));
    } else if (name === 'QEMU' && type === 0) {
      this.qemu.push(qemuRegisters(description));
    } else if (name === 'VMCOREINFO' && this.vmcoreinfo === undefined) {
      if (description.byteLength <= MAX_VMCOREINFO_BYTES)
        this.vmcoreinfo = new TextDecoder().decode(description);
      else
        this.remarks.push(
          `The VMCOREINFO note of ${description.byteLength} bytes is too long and was passed over.`,
        );
    }
  }

  result(): CoreNotes {
    const prstatus = this.prstatus;
    const qemu = this.qemu;
    const remarks = this.remarks;
    const unknown = (notes: readonly unknown[]) =>
      notes.filter((registers) => registers === undefined).length;
    if (unknown(qemu) > 0) {
      remarks.push(
        `${unknown(qemu)} of ${qemu.length} QEMU notes are not of version 1 and were passed over.`,
      );
    }
    if (unknown(prstatus) > 0) {
      remarks.push(
        `${unknown(prstatus)} of ${prstatus.length} NT_PRSTATUS notes have an unknown size and were passed over.`,
      );
    }
    const count = Math.max(prstatus.length, qemu.length);
    const cpus = Array.from({ length: count }, (_, i) => ({ ...prstatus[i], ...qemu[i] }));
    return { cpus, qemu: qemu.length > 0, vmcoreinfo: this.vmcoreinfo, remarks };
  }
}

function checkLimits(segments: readonly ElfSegment[]): void {
  const total = segments.reduce((sum, { fileBytes }) => sum + fileBytes, 0);
  if (total > MAX_NOTE_BYTES || segments.length > MAX_NOTE_SEGMENTS) {
    throw new PageTableError(
      'LIMIT_EXCEEDED',
      `ELF notes: ${total} bytes in ${segments.length} PT_NOTE segments; ` +
        `at most ${MAX_NOTE_BYTES} bytes in ${MAX_NOTE_SEGMENTS} are read`,
      { bytes: total, segments: segments.length },
    );
  }
}

/**
 * Visits the notes of one segment.
 *
 * @param fileOffset - where the segment stands, for messages
 * @see ELF specification (gABI), chapter 5, "Note Section". Name and description are padded to 4 bytes in 64-bit files
 *   too, as every producer of cores does
 */
function visitNotes(
  bytes: Uint8Array,
  fileOffset: number,
  visit: (name: string, type: number, description: DataView) => void,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (bytes.length - at >= HEADER_BYTES) {
    const nameBytes = view.getUint32(at, true);
    const descriptionBytes = view.getUint32(at + 4, true);
    const description = at + HEADER_BYTES + padded(nameBytes);
    if (description + descriptionBytes > bytes.length) {
      throw new PageTableError(
        'MALFORMED_IMAGE',
        `ELF note at offset ${hex(fileOffset + at)}: a name of ${nameBytes} and a description of ${descriptionBytes} bytes; ` +
          `the segment has ${bytes.length - at - HEADER_BYTES} left`,
        { offset: fileOffset + at, nameBytes, descriptionBytes },
      );
    }
    visit(
      nameAt(bytes, at + HEADER_BYTES, nameBytes),
      view.getUint32(at + 8, true),
      new DataView(bytes.buffer, bytes.byteOffset + description, descriptionBytes),
    );
    at = description + padded(descriptionBytes);
  }
  if (bytes.subarray(at).some((byte) => byte !== 0)) {
    throw new PageTableError(
      'MALFORMED_IMAGE',
      `ELF note at offset ${hex(fileOffset + at)}: expected a header of ${HEADER_BYTES} bytes; the segment has ${bytes.length - at} left`,
      { offset: fileOffset + at },
    );
  }
}

function nameAt(bytes: Uint8Array, at: number, length: number): string {
  if (length > MAX_NAME_BYTES) return '';
  return String.fromCharCode(...bytes.subarray(at, at + length)).replace(/\0+$/, '');
}

function padded(length: number): number {
  return Math.ceil(length / 4) * 4;
}
