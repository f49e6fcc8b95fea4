/**
 * Drives the v86 emulator as a judge of 32-bit and PAE page walks.
 *
 * The wasm module of the npm package is instantiated directly, without the JavaScript machine
 * around it: no devices, timers, BIOS image or compiler. Every access is one run of a small guest
 * program from the reset vector:
 *
 * 1. real mode to flat protected mode, segments, task register, interrupt table;
 * 2. paging on, with the driver's own tables, which map the two driver pages as global pages, and
 *    one touch of each, so that both are in the TLB;
 * 3. MOV to CR3 with the root under test: global entries survive, so the program goes on running
 *    even where the tables under test map nothing at all;
 * 4. IRET to ring 3 if asked, then one single-byte access at the address under test.
 *
 * So faults, error codes and CR2 come from a real exception through a real gate. The guest reads
 * its arguments with IN and reports with OUT, which are plain callbacks here: nothing is
 * asynchronous, and there is nothing to close.
 *
 * @see v86 0.5.462 (BSD-2-Clause), <https://github.com/copy/v86>, src/rust/cpu/cpu.rs
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** Control registers under test; the driver adds CR0.PE, CR0.ET, CR0.PG and CR4.PGE. */
export interface V86Control {
  /** Only WP (bit 16) matters to a walk. */
  readonly cr0: number;
  readonly cr3: number;
  /** PSE (bit 4) and PAE (bit 5) choose the format. */
  readonly cr4: number;
}

/** One access of one byte. A write is `LOCK OR byte, 0`, so it never changes the byte. */
export interface V86Access {
  readonly kind: 'read' | 'write';
  readonly user: boolean;
}

/** The instruction of the guest program that raised #GP. */
export type V86Stage = 'mov-cr4' | 'mov-cr0' | 'mov-cr3';

/** What the guest saw. */
export type V86Outcome =
  | {
      readonly kind: 'ok';
      /** As in v86's TLB just after the access. */
      readonly pa: number;
      /** The byte a read returned; 0 for a write. */
      readonly byte: number;
    }
  | { readonly kind: 'page-fault'; readonly errorCode: number; readonly cr2: number }
  | { readonly kind: 'general-protection'; readonly errorCode: number; readonly stage: V86Stage };

/** A machine with guest memory and a processor, reset before every access. */
export interface V86Machine {
  /** Bytes of RAM. Reads above it, and in the video hole, give all ones, as on an open bus. */
  readonly ramBytes: number;
  /** All of guest RAM, live; entries may be read back here to see accessed and dirty bits. */
  readonly memory: Uint8Array;
  /** The entry or value at `pa` as the guest sees it, little-endian, with open-bus ones. */
  read(pa: bigint, bytes: 4 | 8): bigint;
  /** Resets the processor, loads `control` and performs one access. */
  access(control: V86Control, va: number, access: V86Access): V86Outcome;
}

/** A place where v86 does not do what the manual says, or is not modelled. */
export interface V86Deviation {
  readonly id: string;
  readonly text: string;
  readonly evidence: string;
}

/**
 * Physical frames that belong to the driver, half-open: tables under test must not be there, nor
 * point there as tables, because v86 sets accessed bits in whatever it takes for a table.
 */
export const V86_DRIVER_FRAMES = { start: 0xf0, end: 0x100 } as const;

/** Linear pages whose translation is the driver's own, half-open; no access may be tested here. */
export const V86_DRIVER_PAGES = { start: 0xfe, end: 0x100 } as const;

/** v86's known deviations; `evidence` names the test, or the place in the source, that shows it. */
export const V86_DEVIATIONS: readonly V86Deviation[] = [
  {
    id: 'reserved-ignored',
    text: 'reserved bits of PDEs and PTEs are never checked; error code bit 3 is never set',
    evidence: 'observed: 4 MiB PDE bits 21:13, 2 MiB PDE bits 20:13, PAE bits 62:32; do_page_walk',
  },
  {
    id: 'xd-ignored',
    text: 'bit 63 of PAE entries is neither reserved nor execute-disable, whatever EFER.NXE',
    evidence: 'observed with EFER.NXE=0; do_page_walk reads the low half only',
  },
  {
    id: 'pae-address-32-bit',
    text: 'physical addresses have 32 bits: the high half of a PAE entry is dropped',
    evidence: 'observed; comment above do_page_walk: "only 32-bit physical addresses"',
  },
  {
    id: 'pse36-ignored',
    text: 'bits 20:13 of a 4 MiB PDE are dropped instead of being PA 39:32',
    evidence: 'observed; do_page_walk masks the PDE with 0xFFC00000',
  },
  {
    id: 'pae-large-needs-pse',
    text: 'PS=1 in a PAE PDE is honoured only when CR4.PSE=1; the manual ignores CR4.PSE in PAE',
    evidence: 'observed; do_page_walk tests CR4_PSE in both modes',
  },
  {
    id: 'pdpte-reserved-ignored',
    text: 'loading a present PDPTE with a reserved bit raises no #GP; the bit is dropped',
    evidence: 'observed; load_pdpte has a debug assertion in its place',
  },
  {
    id: 'cr3-low-bits',
    text: 'CR3 bits 4:3 (PWT, PCD) of 32-bit paging, and bit 4 of PAE, are added to the address',
    evidence: 'observed; set_cr3 keeps these bits and do_page_walk does not mask them',
  },
  {
    id: 'no-smep-smap',
    text: 'CR4.SMEP and CR4.SMAP can be set but have no effect',
    evidence: 'observed: a supervisor read of a user page with CR4.SMAP=1 succeeds',
  },
  {
    id: 'fetch-not-driven',
    text: 'error code bit 4 (I/D) never appears; the driver performs no fetches under test',
    evidence: 'trigger_pagefault builds only bits 2:0',
  },
];

// --- The guest program ----------------------------------------------------------------------

const RAM_BYTES = 16 * 1024 * 1024;
const DRIVER_BASE = V86_DRIVER_FRAMES.start << 12;

const DATA_PAGE = 0xfe000;
const GDT_POINTER = DATA_PAGE + 0x000;
const IDT_POINTER = DATA_PAGE + 0x008;
const GDT = DATA_PAGE + 0x040;
const TSS = DATA_PAGE + 0x080;
const IDT = DATA_PAGE + 0x100;
const STACK_TOP = DATA_PAGE + 0xff0;

const CODE_PAGE = 0xff000;
const PROTECTED_ENTRY = CODE_PAGE + 0x020;
const PAGE_FAULT_ENTRY = CODE_PAGE + 0x100;
const GENERAL_PROTECTION_ENTRY = CODE_PAGE + 0x120;
const OTHER_EXCEPTION_ENTRY = CODE_PAGE + 0x140;
const FINISH_ENTRY = CODE_PAGE + 0x160;
const RESET_VECTOR = CODE_PAGE + 0xff0;

const BOOT_PD = 0xf0000;
const BOOT_PT = 0xf1000;
const BOOT_PAE_PDPT = 0xf2000;
const BOOT_PAE_PD = 0xf3000;
const BOOT_PAE_PT = 0xf4000;

const CODE0 = 0x08;
const DATA0 = 0x10;
const CODE3 = 0x1b;
const DATA3 = 0x23;
const TASK = 0x28;

const FINISH_VECTOR = 0x30;
const VECTORS = FINISH_VECTOR + 1;

const PORT_ARGUMENT = 0x7a00;
const PORT_OK = 0x7a10;
const PORT_PAGE_FAULT = 0x7a20;
const PORT_PAGE_FAULT_CR2 = 0x7a21;
const PORT_GENERAL_PROTECTION = 0x7a30;
const PORT_OTHER_EXCEPTION = 0x7a40;

const CR0_PE = 0x0000_0001;
const CR0_ET = 0x0000_0010;
const CR0_PG = 0x8000_0000;
const CR4_PAE = 0x20;
const CR4_PGE = 0x80;

/** Arguments in the order the guest reads them; the stage a #GP belongs to, by number read. */
const STAGE_BY_ARGUMENTS_READ: readonly (V86Stage | undefined)[] = [
  undefined,
  'mov-cr4',
  undefined,
  'mov-cr0',
  undefined,
  undefined,
  'mov-cr3',
];

const ACCESS_WRITE = 1;
const ACCESS_USER = 2;

function dword(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

// biome-ignore format: one instruction to a line
const REAL_MODE_CODE: readonly number[] = [
  0xfa,                                           // cli
  0x2e, 0x66, 0x0f, 0x01, 0x16, 0x00, 0xe0,       // lgdt cs:[0xe000]
  0x2e, 0x66, 0x0f, 0x01, 0x1e, 0x08, 0xe0,       // lidt cs:[0xe008]
  0x0f, 0x20, 0xc0,                               // mov eax, cr0
  0x0c, 0x01,                                     // or al, 1
  0x0f, 0x22, 0xc0,                               // mov cr0, eax
  0x66, 0xea, ...dword(PROTECTED_ENTRY), CODE0, 0,// jmp code0:protected
];

// biome-ignore format: one instruction to a line
const ACCESS_CODE: readonly number[] = [
  0xf6, 0xc1, ACCESS_WRITE,                       // test cl, 1
  0x75, 0x04,                                     // jnz write
  0x8a, 0x03,                                     // mov al, [ebx]
  0xeb, 0x06,                                     // jmp done
  0xf0, 0x80, 0x0b, 0x00,                         // write: lock or byte [ebx], 0
  0x30, 0xc0,                                     // xor al, al
  0x0f, 0xb6, 0xc0,                               // done: movzx eax, al
  0xba, ...dword(PORT_OK),                        // mov edx, PORT_OK
  0xef,                                           // out dx, eax
  0xcd, FINISH_VECTOR,                            // int 0x30
];

// biome-ignore format: one instruction to a line
const PROTECTED_SETUP: readonly number[] = [
  0x66, 0xb8, DATA3, 0,                           // mov ax, data3
  0x8e, 0xd8,                                     // mov ds, ax
  0x8e, 0xc0,                                     // mov es, ax
  0x66, 0xb8, DATA0, 0,                           // mov ax, data0
  0x8e, 0xd0,                                     // mov ss, ax
  0xbc, ...dword(STACK_TOP),                      // mov esp, stack top
  0x66, 0xb8, TASK, 0,                            // mov ax, task
  0x0f, 0x00, 0xd8,                               // ltr ax
  0xba, ...dword(PORT_ARGUMENT),                  // mov edx, PORT_ARGUMENT
  0xed, 0x0f, 0x22, 0xe0,                         // in eax, dx; mov cr4, eax
  0xed, 0x0f, 0x22, 0xd8,                         // in eax, dx; mov cr3, eax (driver's root)
  0xed, 0x0f, 0x22, 0xc0,                         // in eax, dx; mov cr0, eax (paging on)
  0xeb, 0x00,                                     // jmp $+2
  0xa3, ...dword(DATA_PAGE + 0xffc),              // mov [data page], eax: a writable TLB entry
  0xa1, ...dword(CODE_PAGE),                      // mov eax, [code page]
  0xed, 0x89, 0xc3,                               // in eax, dx; mov ebx, eax (address)
  0xed, 0x89, 0xc1,                               // in eax, dx; mov ecx, eax (access)
  0x6a, DATA3,                                    // push ss3
  0x68, ...dword(STACK_TOP),                      // push esp3
  0x68, ...dword(0x3002),                         // push eflags: IOPL 3, so that ring 3 may OUT
  0x6a, CODE3,                                    // push cs3
];

// biome-ignore format: one instruction to a line
const SWITCH_CODE: readonly number[] = [
  0xed, 0x0f, 0x22, 0xd8,                         // in eax, dx; mov cr3, eax (root under test)
  0xf6, 0xc1, ACCESS_USER,                        // test cl, 2
  0x74, 0x01,                                     // jz +1
  0xcf,                                           // iretd
];

const ACCESS_ENTRY = PROTECTED_ENTRY + PROTECTED_SETUP.length + 5 + SWITCH_CODE.length;

// biome-ignore format: one instruction to a line
const PROTECTED_CODE: readonly number[] = [
  ...PROTECTED_SETUP,
  0x68, ...dword(ACCESS_ENTRY),                   // push eip3
  ...SWITCH_CODE,
  ...ACCESS_CODE,
];

// biome-ignore format: one instruction to a line
const PAGE_FAULT_CODE: readonly number[] = [
  0x58,                                           // pop eax: error code
  0xba, ...dword(PORT_PAGE_FAULT),                // mov edx, PORT_PAGE_FAULT
  0xef,                                           // out dx, eax
  0x0f, 0x20, 0xd0,                               // mov eax, cr2
  0x42,                                           // inc edx
  0xef,                                           // out dx, eax
  0xf4,                                           // hlt
];

// biome-ignore format: one instruction to a line
const GENERAL_PROTECTION_CODE: readonly number[] = [
  0x58,                                           // pop eax: error code
  0xba, ...dword(PORT_GENERAL_PROTECTION),        // mov edx, PORT_GENERAL_PROTECTION
  0xef,                                           // out dx, eax
  0xf4,                                           // hlt
];

// biome-ignore format: one instruction to a line
const OTHER_EXCEPTION_CODE: readonly number[] = [
  0xba, ...dword(PORT_OTHER_EXCEPTION),           // mov edx, PORT_OTHER_EXCEPTION
  0xef,                                           // out dx, eax
  0xf4,                                           // hlt
];

/** Jump near from F000:FFF0 to F000:F000, where the code page starts. */
const RESET_CODE: readonly number[] = [0xe9, 0x0d, 0xf0];
const FINISH_CODE: readonly number[] = [0xf4];

/** Builds the driver's frames: code, descriptor tables, stack, and tables that map only those. */
function buildDriverImage(): Uint8Array {
  const image = new Uint8Array((V86_DRIVER_FRAMES.end - V86_DRIVER_FRAMES.start) << 12);
  const view = new DataView(image.buffer);
  const put = (address: number, bytes: readonly number[]): void => {
    image.set(bytes, address - DRIVER_BASE);
  };
  const put32 = (address: number, value: number): void => {
    view.setUint32(address - DRIVER_BASE, value, true);
  };

  put(CODE_PAGE, REAL_MODE_CODE);
  put(PROTECTED_ENTRY, PROTECTED_CODE);
  put(PAGE_FAULT_ENTRY, PAGE_FAULT_CODE);
  put(GENERAL_PROTECTION_ENTRY, GENERAL_PROTECTION_CODE);
  put(OTHER_EXCEPTION_ENTRY, OTHER_EXCEPTION_CODE);
  put(FINISH_ENTRY, FINISH_CODE);
  put(RESET_VECTOR, RESET_CODE);

  // Flat 4 GiB segments, already marked accessed, so that loading them writes nothing.
  put(GDT + CODE0, [0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0]);
  put(GDT + DATA0, [0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0]);
  put(GDT + (CODE3 & ~3), [0xff, 0xff, 0, 0, 0, 0xfb, 0xcf, 0]);
  put(GDT + (DATA3 & ~3), [0xff, 0xff, 0, 0, 0, 0xf3, 0xcf, 0]);
  put(GDT + TASK, [0x67, 0, TSS & 0xff, (TSS >> 8) & 0xff, TSS >> 16, 0x89, 0, 0]);
  put(GDT_POINTER, [TASK + 7, 0, ...dword(GDT)]);
  put32(TSS + 4, STACK_TOP);
  put32(TSS + 8, DATA0);

  for (let vector = 0; vector < VECTORS; vector++) {
    let entry = OTHER_EXCEPTION_ENTRY;
    if (vector === 13) entry = GENERAL_PROTECTION_ENTRY;
    if (vector === 14) entry = PAGE_FAULT_ENTRY;
    if (vector === FINISH_VECTOR) entry = FINISH_ENTRY;
    put(IDT + vector * 8, [entry & 0xff, (entry >> 8) & 0xff, CODE0, 0, 0, 0xee, entry >> 16, 0]);
  }
  const limit = VECTORS * 8 - 1;
  put(IDT_POINTER, [limit & 0xff, limit >> 8, ...dword(IDT)]);

  // P, R/W, U/S, A; the pages also D and G.
  put32(BOOT_PD, BOOT_PT | 0x27);
  put32(BOOT_PAE_PDPT, BOOT_PAE_PD | 0x01);
  put32(BOOT_PAE_PD, BOOT_PAE_PT | 0x27);
  for (let page = V86_DRIVER_PAGES.start; page < V86_DRIVER_PAGES.end; page++) {
    put32(BOOT_PT + page * 4, (page << 12) | 0x167);
    put32(BOOT_PAE_PT + page * 8, (page << 12) | 0x167);
  }
  return image;
}

// --- The wasm module ------------------------------------------------------------------------

/** The exports the driver uses, of about 800. */
interface V86Exports {
  readonly memory: { readonly buffer: ArrayBuffer };
  rust_init(): void;
  allocate_memory(bytes: number): number;
  set_jit_config(index: number, value: number): void;
  reset_cpu(): void;
  main_loop(): number;
  translate_address_system_read_js(va: number): number;
}

type WasmImport = (...operands: number[]) => number | undefined;

/** The part of the global `WebAssembly` used here; its types are only in the DOM library. */
interface WebAssemblyGlobal {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Table: new (descriptor: { element: 'anyfunc'; initial: number }) => object;
  readonly Instance: new (
    module: object,
    imports: { env: Record<string, WasmImport | object> },
  ) => { readonly exports: V86Exports };
}
declare const WebAssembly: WebAssemblyGlobal;

/** As the package's own loader sizes it: 1024 functions and 900 for the compiler. */
const WASM_TABLE_SIZE = 1924;

/** Where the processor state in wasm memory keeps the RAM size; libv86 writes it before allocating. */
const MEMORY_SIZE_OFFSET = 812;

/** Devices, clocks and the compiler; a clock that stands still keeps the interpreter in its loop. */
const UNUSED_IMPORTS: readonly string[] = [
  ...['microtick', 'run_hardware_timers', 'get_rand_int', 'stop_idling', 'cpu_event_halt'],
  ...['codegen_finalize', 'jit_clear_func', 'console_log_from_wasm', 'io_port_write8', 'io_port_write16'],
  ...['mmap_write8', 'mmap_write16', 'mmap_write32', 'mmap_write64', 'mmap_write128'],
];

function isOpenBus(pa: number): boolean {
  return pa >= RAM_BYTES || (pa >= 0xa0000 && pa < 0xc0000);
}

/** Instantiates the emulator, in about 25 ms; one machine serves a whole test file. */
export function createV86(): V86Machine {
  const require = createRequire(import.meta.url);
  const wasmPath = require.resolve('v86').replace(/libv86\.mjs$/, 'v86.wasm');
  const driverImage = buildDriverImage();

  let reportedArguments: readonly number[] = [];
  let argumentsRead = 0;
  let linearAddress = 0;
  let pendingErrorCode = 0;
  let outcome: V86Outcome | undefined;
  let complaint: string | undefined;

  const onIn = (port: number): number => {
    if (port !== PORT_ARGUMENT || argumentsRead >= reportedArguments.length) {
      complaint ??= `unexpected IN from port 0x${port.toString(16)}`;
      return 0;
    }
    return reportedArguments[argumentsRead++];
  };
  const onOut = (port: number, value: number): undefined => {
    if (port === PORT_OK) {
      // No side effects: a look-up in the TLB, which still holds the access just made.
      const pa = exports.translate_address_system_read_js(linearAddress) >>> 0;
      outcome = { kind: 'ok', pa, byte: value & 0xff };
    } else if (port === PORT_PAGE_FAULT) {
      pendingErrorCode = value >>> 0;
    } else if (port === PORT_PAGE_FAULT_CR2) {
      outcome = { kind: 'page-fault', errorCode: pendingErrorCode, cr2: value >>> 0 };
    } else if (port === PORT_GENERAL_PROTECTION) {
      const stage = STAGE_BY_ARGUMENTS_READ[argumentsRead];
      if (stage === undefined) complaint ??= `#GP after ${argumentsRead} arguments`;
      else outcome = { kind: 'general-protection', errorCode: value >>> 0, stage };
    } else {
      complaint ??= `unexpected OUT to port 0x${port.toString(16)}`;
    }
  };

  const nothing: WasmImport = () => 0;
  const env: Record<string, WasmImport | object> = {
    ...Object.fromEntries(UNUSED_IMPORTS.map((name) => [name, nothing])),
    __indirect_function_table: new WebAssembly.Table({ element: 'anyfunc', initial: WASM_TABLE_SIZE }),
    mmap_read8: () => 0xff,
    mmap_read32: () => -1,
    io_port_read8: (port) => onIn(port) & 0xff,
    io_port_read16: (port) => onIn(port) & 0xffff,
    io_port_read32: onIn,
    io_port_write32: onOut,
  };
  const module = new WebAssembly.Module(readFileSync(wasmPath));
  const exports = new WebAssembly.Instance(module, { env }).exports;
  exports.rust_init();
  new DataView(exports.memory.buffer).setUint32(MEMORY_SIZE_OFFSET, RAM_BYTES, true);
  const ramOffset = exports.allocate_memory(RAM_BYTES) >>> 0;
  exports.set_jit_config(0, 1); // interpreter only, as the option `disable_jit` does

  let ram = new Uint8Array(exports.memory.buffer, ramOffset, RAM_BYTES);
  const currentRam = (): Uint8Array => {
    // Growing wasm memory detaches every earlier view.
    if (ram.buffer !== exports.memory.buffer) {
      ram = new Uint8Array(exports.memory.buffer, ramOffset, RAM_BYTES);
    }
    return ram;
  };

  return {
    ramBytes: RAM_BYTES,
    get memory() {
      return currentRam();
    },
    read(pa, bytes) {
      let value = 0n;
      for (let i = BigInt(bytes) - 1n; i >= 0n; i--) {
        // Bounded by the test in isOpenBus: only addresses inside RAM reach the array.
        const address = pa + i >= BigInt(RAM_BYTES) ? RAM_BYTES : Number(pa + i);
        value = (value << 8n) | BigInt(isOpenBus(address) ? 0xff : currentRam()[address]);
      }
      return value;
    },
    access(control, va, access) {
      const page = va >>> 12;
      if (page >= V86_DRIVER_PAGES.start && page < V86_DRIVER_PAGES.end) {
        throw new RangeError(`v86: va 0x${va.toString(16)} is in the driver's own pages`);
      }
      const pae = (control.cr4 & CR4_PAE) !== 0;
      reportedArguments = [
        control.cr4 | CR4_PGE,
        pae ? BOOT_PAE_PDPT : BOOT_PD,
        control.cr0 | CR0_PG | CR0_PE | CR0_ET,
        va | 0,
        (access.kind === 'write' ? ACCESS_WRITE : 0) | (access.user ? ACCESS_USER : 0),
        control.cr3 | 0,
      ];
      argumentsRead = 0;
      linearAddress = va | 0;
      outcome = undefined;
      complaint = undefined;
      currentRam().set(driverImage, DRIVER_BASE);
      exports.reset_cpu();
      exports.main_loop();
      if (complaint !== undefined) throw new Error(`v86: ${complaint}`);
      if (outcome === undefined) {
        throw new Error(`v86: no report for va 0x${va.toString(16)} after ${argumentsRead} of 6`);
      }
      return outcome;
    },
  };
}
