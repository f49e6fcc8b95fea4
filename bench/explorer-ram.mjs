import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { sampleFiles } from '../scripts/explorer/command.mjs';

const SIZE = 4 * 2 ** 30;
const PT_LOAD = 1;

/** Writes the memory of an x86 sample as raw memory of 4 GiB, of which the file holds what the sample has. */
export function sparseRam(sample, path) {
  const { core, options } = sampleFiles(sample);
  const bytes = gunzipSync(readFileSync(core));
  const file = openSync(path, 'w');
  const start = Number(bytes.readBigUInt64LE(32));
  for (let i = 0; i < bytes.readUInt16LE(56); i += 1) {
    const at = start + i * bytes.readUInt16LE(54);
    if (bytes.readUInt32LE(at) !== PT_LOAD) continue;
    const [offset, physical, size] = [8, 24, 32].map((field) => Number(bytes.readBigUInt64LE(at + field)));
    writeSync(file, bytes, offset, size, physical);
  }
  ftruncateSync(file, SIZE);
  closeSync(file);
  const [, cr3] = /"CR3": "(0x[0-9a-f]+)"/.exec(readFileSync(options[1], 'utf8')) ?? [];
  return { cr3, size: SIZE };
}
