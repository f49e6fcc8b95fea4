import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

/** Path of a file of the sample `linux-amd64-la48`; `samples/README.md` says what each is. */
export function samplePath(name: string): string {
  return fileURLToPath(new URL(`../../samples/linux-amd64-la48/${name}`, import.meta.url));
}

/** A packed text file of the sample, as lines without their ends. */
export function sampleLines(name: string): string[] {
  const text = gunzipSync(readFileSync(samplePath(name))).toString('utf8');
  return text.replaceAll('\r', '').replace(/\n$/, '').split('\n');
}
