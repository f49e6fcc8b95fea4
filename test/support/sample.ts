import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

/** The samples: folders of `samples/`. */
export const AMD64 = 'linux-amd64-la48';
export const ARM64 = 'linux-arm64-4k-nokaslr';
export const RISCV64 = 'linux-riscv64-sv39';

/** Path of a file of a sample; `samples/README.md` says what each is. */
export function samplePath(name: string, sample: string = AMD64): string {
  return fileURLToPath(new URL(`../../samples/${sample}/${name}`, import.meta.url));
}

/** A packed text file of the sample, as lines without their ends. */
export function sampleLines(name: string, sample: string = AMD64): string[] {
  const text = gunzipSync(readFileSync(samplePath(name, sample))).toString('utf8');
  return text.replaceAll('\r', '').replace(/\n$/, '').split('\n');
}

/** Frames by page, from what a sample's guest printed of /proc/PID/pagemap: `PMn VA PAGES FIRST-FRAME FLAGS`. */
export function pagemap(lines: readonly string[], process: number): [page: number, frame: number][] {
  return lines
    .filter((line) => line.startsWith(`PM${process} `))
    .flatMap((line) => {
      const [va, pages, frame, flags] = line
        .split(' ')
        .slice(1)
        .map((text) => Number.parseInt(text, 16));
      const present = (flags & 0x100) !== 0;
      const range = Array.from({ length: pages }, (_, i): [number, number] => [va / 4096 + i, frame + i]);
      return present ? range : [];
    });
}

/**
 * Mappings of /dev/mem, which pagemap leaves out: their offset in /proc/PID/maps is the physical address. The processes
 * touched their pages.
 */
export function deviceMemory(lines: readonly string[], process: number): [page: number, frame: number][] {
  const start = lines.indexOf(`===MAPS${process}`);
  const end = lines.indexOf(`===PAGEMAP${process}`);
  return lines
    .slice(start, end)
    .filter((line) => line.endsWith('/dev/mem'))
    .map((line) => {
      const [range, , offset] = line.split(' ');
      return [Number.parseInt(range, 16) / 4096, Number.parseInt(offset, 16) / 4096];
    });
}

/** Ranges of pages in /proc/PID/maps. */
export function mappedRanges(
  lines: readonly string[],
  process: number,
): (readonly [first: number, end: number])[] {
  return lines
    .slice(lines.indexOf(`===MAPS${process}`) + 1, lines.indexOf(`===PAGEMAP${process}`))
    .map((line) => {
      const [first, end] = line.split(' ')[0].split('-');
      return [Number.parseInt(first, 16) / 4096, Number.parseInt(end, 16) / 4096] as const;
    });
}
