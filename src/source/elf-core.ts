import { PageTableError } from '../bits/index.ts';
import type { Architecture, Machine } from '../machine/index.ts';
import type { ByteSource } from './bytes.ts';
import {
  type ElfSegment,
  EM_386,
  EM_AARCH64,
  EM_RISCV,
  EM_X86_64,
  PT_LOAD,
  readElfHeader,
  readSegments,
} from './elf.ts';
import { disjoint, Extents, fillGaps, ZEROS } from './extents.ts';
import { type CoreNotes, readNotes } from './notes.ts';
import { StoredMemory } from './stored-memory.ts';
import { parseVmcoreinfo, vmcoreinfoRoots } from './vmcoreinfo.ts';

/** A machine stored as an ELF core. */
export interface ElfCore extends Machine {
  /** What Linux says of itself, by key (`KERNELOFFSET`, `SYMBOL(swapper_pg_dir)`); empty if it says nothing. */
  readonly vmcoreinfo: ReadonlyMap<string, string>;
}

const ARCHITECTURES: Readonly<Record<number, Architecture>> = {
  [EM_386]: 'x86',
  [EM_X86_64]: 'x86',
  [EM_AARCH64]: 'aarch64',
  [EM_RISCV]: 'riscv',
};

/**
 * Opens an ELF core that holds physical memory: QEMU's `dump-guest-memory` (with paging or without), Linux kdump.
 * Memory is found by `p_paddr`. What a segment lacks between `p_filesz` and `p_memsz` is zero. Where segments overlap,
 * bytes in the file count before zeros, and those of the segment that starts lowest before others. Data that the file
 * is too short for is not in the machine, and a remark says so.
 *
 * @param bytes - closed with the machine; on failure it stays open
 * @throws {@link PageTableError} `UNSUPPORTED_IMAGE`, `MALFORMED_IMAGE` or `TRUNCATED_IMAGE` if it is not such a core or
 *   its headers or notes are damaged, `LIMIT_EXCEEDED` if there are too many of them, `READ_FAILED`
 */
export async function openElfCore(bytes: ByteSource): Promise<ElfCore> {
  const header = await readElfHeader(bytes);
  const architecture = ARCHITECTURES[header.machine];
  if (architecture === undefined) {
    throw new PageTableError(
      'UNSUPPORTED_IMAGE',
      `ELF header: e_machine ${header.machine}; expected 3 (i386), 62 (x86-64), 183 (AArch64) or 243 (RISC-V)`,
      { machine: header.machine },
    );
  }
  const segments = new SegmentCollector(bytes.size);
  await readSegments(bytes, header, (segment) => segments.add(segment));
  const memory = segments.memory(bytes);
  const notes = await readNotes(bytes, header.machine, segments.notes);
  const vmcoreinfo = parseVmcoreinfo(notes.vmcoreinfo ?? '');
  const is64Bit = header.machine !== EM_386;
  const linux = is64Bit ? vmcoreinfoRoots(vmcoreinfo, architecture) : { roots: [], remarks: [] };

  return {
    kind: kindOf(notes),
    architecture,
    // QEMU chooses e_machine by EFER.LMA of the first processor; a kernel that dumps itself is of its own kind.
    longMode: architecture === 'x86' ? header.machine === EM_X86_64 : undefined,
    // QEMU and Linux choose the class of the file by it.
    ...(architecture === 'riscv' ? { xlen: header.bits } : {}),
    cpus: notes.cpus.map((registers, index) => ({ index, registers })),
    roots: linux.roots,
    frames: memory.frames,
    remarks: [...segments.remarks(memory), ...notes.remarks, ...linux.remarks],
    vmcoreinfo,
    readFrames: (frames, target) => memory.readFrames(frames, target),
    close: () => bytes.close(),
  };
}

/** Sorts segments into memory and notes, and counts what has to be said about them. */
class SegmentCollector {
  readonly notes: ElfSegment[] = [];
  private readonly fileSize: number;
  private readonly data = new Extents();
  private readonly zeros = new Extents();
  private loads = 0;
  private loadsAtZero = 0;
  private withoutAddress = 0;
  private cut = 0;
  private missingBytes = 0;
  private zeroBytes = 0;

  constructor(fileSize: number) {
    this.fileSize = fileSize;
  }

  add(segment: ElfSegment): void {
    const { type, offset, physical, fileBytes, memoryBytes } = segment;
    if (type !== PT_LOAD) {
      if (fileBytes > 0) this.notes.push(segment);
      return;
    }
    if (memoryBytes === 0) return;
    this.loads++;
    if (physical === undefined) {
      this.withoutAddress++;
      return;
    }
    if (physical === 0) this.loadsAtZero++;
    const stored = Math.min(fileBytes, Math.max(0, this.fileSize - offset));
    if (stored < fileBytes) this.cut++;
    this.missingBytes += fileBytes - stored;
    this.zeroBytes += memoryBytes - fileBytes;
    this.data.push(physical, physical + stored, offset);
    this.zeros.push(physical + fileBytes, physical + memoryBytes, ZEROS);
  }

  memory(bytes: ByteSource): StoredMemory {
    if (this.loads === 0) {
      throw new PageTableError(
        'UNSUPPORTED_IMAGE',
        'ELF core: it has no PT_LOAD segments; memory kept in sections, as Xen does, is not understood',
      );
    }
    if (this.loadsAtZero > 1 && this.loadsAtZero === this.loads) {
      throw new PageTableError(
        'UNSUPPORTED_IMAGE',
        `ELF core: all ${this.loads} segments have p_paddr 0; this is the core of a process, expected one of a machine`,
        { segments: this.loads },
      );
    }
    return new StoredMemory(bytes, fillGaps(disjoint(this.data), disjoint(this.zeros)));
  }

  remarks(memory: StoredMemory): string[] {
    const remarks: string[] = [];
    if (this.cut > 0) {
      remarks.push(
        `The file is cut short: ${this.missingBytes} bytes of ${this.cut} of its ${this.loads} segments are missing.`,
      );
    }
    if (this.withoutAddress > 0) {
      remarks.push(
        `${this.withoutAddress} of ${this.loads} segments have no physical address and were passed over.`,
      );
    }
    if (this.zeroBytes > 0) {
      remarks.push(
        `${this.zeroBytes} bytes are not in the file (p_filesz < p_memsz) and read as zeros; a filter such as makedumpfile may have left them out.`,
      );
    }
    if (memory.partialFrames > 0) {
      remarks.push(`${memory.partialFrames} frames are only partly in the file and are not given.`);
    }
    return remarks;
  }
}

function kindOf(notes: CoreNotes): string {
  if (notes.qemu) return 'ELF core written by QEMU';
  return notes.vmcoreinfo === undefined ? 'ELF core' : 'ELF core of Linux (kdump)';
}
