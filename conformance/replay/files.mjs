// Recorded files: finding them, reading them, and refusing what is not whole.

import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { brief, MalformedFile } from './values.mjs';

/** Far above any recorded file, and a bound for one that unpacks without end. */
const MAX_TEXT_BYTES = 256 << 20;

/** @typedef {{ number: number, value: Record<string, any> }} Line */

/**
 * A recorded sequence: its header, and operations and checkpoints that are parsed when they are asked for.
 *
 * @typedef {{ header: Record<string, any>, lines: () => Iterable<Line> }} Sequence
 */

/**
 * Names of all recorded files below a folder, relative to it, sorted.
 *
 * @param {string} folder
 * @param {string} [pattern] - a part of the name; `*` stands for anything
 */
export function recordedFiles(folder, pattern = '') {
  const wanted = new RegExp(pattern.split('*').map(escaped).join('.*'));
  return (
    readdirSync(folder, { recursive: true, withFileTypes: true })
      // A link may be one to a file.
      .filter((entry) => !entry.isDirectory() && entry.name.endsWith('.jsonl.gz'))
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .filter((name) => wanted.test(name))
      .sort()
  );
}

/** @param {string} text - to be taken literally in a regular expression */
function escaped(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/**
 * The digests that a folder's `index.json` promises, by file name; none without one.
 *
 * @param {string} folder
 * @returns {ReadonlyMap<string, string>}
 */
export function readIndex(folder) {
  const path = join(folder, 'index.json');
  if (!existsSync(path)) return new Map();
  const entries = parseJson(readFileSync(path, 'utf8'));
  if (!Array.isArray(entries)) throw new MalformedFile(`expected a list of files, found ${brief(entries)}`);
  return new Map(
    entries.map((entry) => {
      if (typeof entry?.file !== 'string' || typeof entry.sha256 !== 'string') {
        throw new MalformedFile(`expected "file" and "sha256", found ${brief(entry)}`);
      }
      return [entry.file, entry.sha256];
    }),
  );
}

/**
 * Unpacks a recorded file.
 *
 * @param {string} path
 * @param {string} [sha256] - what the digest of its text must be
 * @returns {string}
 * @throws {MalformedFile} if it cannot be read or unpacked, or is another text
 */
export function readText(path, sha256) {
  let bytes;
  try {
    bytes = gunzipSync(readFileSync(path), { maxOutputLength: MAX_TEXT_BYTES });
  } catch (error) {
    throw new MalformedFile(`cannot be unpacked: ${error instanceof Error ? error.message : error}`);
  }
  const found = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== undefined && found !== sha256) {
    throw new MalformedFile(`its text has SHA-256 ${found}; index.json expects ${sha256}`);
  }
  return bytes.toString('utf8');
}

/**
 * Reads a recorded text.
 *
 * @param {string} text
 * @returns {Sequence}
 * @throws {MalformedFile} if the header is not one, and from `lines` where a line is not one
 */
export function parseSequence(text) {
  const end = text.indexOf('\n');
  const header = parseLine(end < 0 ? text : text.slice(0, end), 1);
  if (header.format !== 1 || typeof header.system !== 'string') {
    throw atLine(new MalformedFile(`expected a header of format 1 with a system, found ${brief(header)}`), 1);
  }
  return { header, lines: () => parseLines(text) };
}

/** @param {string} text */
function* parseLines(text) {
  const texts = text.replace(/\n$/, '').split('\n');
  for (const [i, line] of texts.entries()) {
    if (i > 0) yield { number: i + 1, value: parseLine(line, i + 1) };
  }
}

/**
 * @param {string} text
 * @param {number} number
 * @returns {Record<string, any>}
 */
function parseLine(text, number) {
  try {
    const value = parseJson(text);
    if (value instanceof Object && !Array.isArray(value)) return value;
    throw new MalformedFile(`expected an object, found ${brief(value)}`);
  } catch (error) {
    throw atLine(error, number);
  }
}

/** @param {string} text */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new MalformedFile(`not JSON: ${error instanceof Error ? error.message : error}`);
  }
}

/**
 * Adds the line to an error about the file, and leaves all others as they are.
 *
 * @param {unknown} error
 * @param {number} line
 */
export function atLine(error, line) {
  if (error instanceof MalformedFile) error.line ??= line;
  return error;
}
