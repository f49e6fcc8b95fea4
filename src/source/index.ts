export { type ByteSource, blobBytes, memoryBytes } from './bytes.ts';
export { type ElfCore, openElfCore } from './elf-core.ts';
export { DEFAULT_MAX_UNPACKED_BYTES, type GunzipOptions, gunzip, isGzip } from './gzip.ts';
export { type HttpOptions, httpBytes } from './http.ts';
export { type OpenOptions, openImage } from './open.ts';
export { openRaw, type RawOptions } from './raw.ts';
export { parseRegisters, withRegisters } from './registers.ts';
export { parseVmcoreinfo, type VmcoreinfoRoots, vmcoreinfoRoots } from './vmcoreinfo.ts';
