import { PageTableError } from '../bits/index.ts';
import type { Machine } from '../machine/index.ts';
import type { ByteSource } from './bytes.ts';
import { isElf } from './elf.ts';
import { openElfCore } from './elf-core.ts';
import { type GunzipOptions, gunzip, isGzip } from './gzip.ts';
import { openRaw } from './raw.ts';

/** How {@link openImage} takes an image. */
export interface OpenOptions extends GunzipOptions {
  /** Raw images only: physical byte address of the first byte; 0 if not given. Given, it also allows a raw image. */
  readonly base?: bigint;
  /** `auto`, the default, looks at the first bytes and takes an image as raw only if `base` is given. */
  readonly format?: 'auto' | 'elf' | 'raw';
}

const SHOWN_BYTES = 16;

/**
 * Opens a memory image. A file packed with gzip is unpacked into memory first, whatever the format.
 *
 * @param bytes - closed with the machine; on failure it stays open
 * @throws {@link PageTableError} `UNSUPPORTED_IMAGE` if the format is not known, `BAD_ARGUMENT` if `base` is given for
 *   an ELF core, and what {@link gunzip}, {@link openElfCore} and {@link openRaw} throw
 */
export async function openImage(bytes: ByteSource, options: OpenOptions = {}): Promise<Machine> {
  const { base, format = 'auto' } = options;
  const image = (await isGzip(bytes)) ? await gunzip(bytes, options) : bytes;
  const elf = format === 'elf' || (format === 'auto' && (await isElf(image)));
  if (elf) {
    if (base === undefined) return openElfCore(image);
    throw new PageTableError(
      'BAD_ARGUMENT',
      'open: a base is for raw images, and this is taken as an ELF core; leave the base out, or say format raw',
      { base },
    );
  }
  if (format === 'raw' || base !== undefined) return openRaw(image, { base: base ?? 0n });

  const start = await image.read(0, Math.min(SHOWN_BYTES, image.size));
  const text = String.fromCharCode(...start);
  const known = OTHER_FORMATS.find(({ magic }) => text.startsWith(magic));
  const found = Array.from(start, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
  const what =
    start.length === 0
      ? 'is empty'
      : known === undefined
        ? `begins with ${found}`
        : `is ${known.name}, which is not read yet${known.advice}`;
  throw new PageTableError(
    'UNSUPPORTED_IMAGE',
    `the file ${what}; expected an ELF core, or raw memory if it is said to be that; either may be packed with gzip`,
    { found },
  );
}

/** Images that are common and not understood, so that a message can name them. Their first bytes: see each tool. */
const OTHER_FORMATS: readonly { readonly magic: string; readonly name: string; readonly advice: string }[] = [
  {
    magic: 'KDUMP   ',
    name: 'a kdump-compressed dump',
    advice: '',
  },
  { magic: 'DISKDUMP', name: 'a diskdump', advice: '' },
  { magic: 'makedumpfile', name: 'a flattened dump', advice: " ('makedumpfile -R' rearranges it)" },
  { magic: 'EMiL', name: 'a LiME image', advice: '' },
  { magic: 'AVML', name: 'an AVML image', advice: '' },
  { magic: 'PAGEDU64', name: 'a Windows crash dump', advice: '' },
  { magic: 'PAGEDUMP', name: 'a 32-bit Windows crash dump', advice: '' },
  { magic: 'QEVM', name: "a QEMU snapshot ('savevm')", advice: " ('dump-guest-memory' writes an ELF core)" },
  { magic: 'HIBR', name: 'a Windows hibernation file', advice: '' },
  { magic: '\x28\xb5\x2f\xfd', name: 'packed with zstd', advice: ' (unpack it first)' },
  { magic: '\xfd7zXZ', name: 'packed with xz', advice: ' (unpack it first)' },
];
