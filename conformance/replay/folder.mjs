// The command: replays every recorded file below a folder, and prints what came out.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { parseSequence, readIndex, readText, recordedFiles } from './files.mjs';
import { replaySequence } from './sequence.mjs';
import { SYSTEMS } from './systems.mjs';
import { brief, MalformedFile } from './values.mjs';

/** Differences that are shown of a file. */
const MAX_SHOWN = 5;

/** @typedef {{ log: (line: string) => void, error: (line: string) => void }} Printer */
/** @typedef {{ files: number, unreadable: number, operations: number, differences: number, deliberate: number }} Totals */

/**
 * What the command does.
 *
 * @param {readonly string[]} args - its arguments
 * @param {Printer} printer
 * @returns {number} exit code
 */
export function replayFolder(args, printer) {
  const [folder, pattern] = args;
  if (args.length < 1 || args.length > 2 || folder.startsWith('-')) {
    printer.error('Usage: npm run replay -- FOLDER [FILE-PATTERN]');
    return 2;
  }
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    printer.error(`${folder}: expected a folder of recorded files`);
    return 2;
  }
  /** @type {Totals} */
  const totals = { files: 0, unreadable: 0, operations: 0, differences: 0, deliberate: 0 };
  /** @type {<T>(name: string, action: () => T) => T | undefined} */
  const attempt = (name, action) => {
    try {
      return action();
    } catch (error) {
      totals.unreadable += 1;
      printer.error(`${name}: ${unreadable(error)}`);
      return undefined;
    }
  };
  const index = attempt('index.json', () => readIndex(folder));
  if (index === undefined) return 3;
  const names = attempt(folder, () => recordedFiles(folder, pattern)) ?? [];
  for (const name of names) {
    const line = attempt(name, () => replayFile(folder, name, index.get(name), totals));
    if (line !== undefined) printer.log(line);
  }
  if (totals.files === 0 && totals.unreadable === 0) {
    printer.error(`${folder}: nothing to replay${pattern === undefined ? '' : ` that matches ${pattern}`}`);
  }
  printer.log(sums(totals));
  if (totals.unreadable > 0) return 3;
  if (totals.files === 0) return 2;
  return totals.differences > 0 ? 1 : 0;
}

/**
 * Replays a file, and adds what came out to the totals.
 *
 * @param {string} folder
 * @param {string} name
 * @param {string | undefined} sha256 - what the digest of its text must be
 * @param {Totals} totals
 * @returns {string} what to print of it
 */
function replayFile(folder, name, sha256, totals) {
  const outOfScope = `${name}: out of scope: recorded without overflow checks`;
  if (name.includes('-wrapping-')) return outOfScope;
  const sequence = parseSequence(readText(join(folder, name), sha256));
  const { system, overflowChecks } = sequence.header;
  if (overflowChecks === false) return outOfScope;
  if (!Object.hasOwn(SYSTEMS, system)) return `${name}: not replayed: no face for ${system}`;

  const { operations, differences, deliberate, ended } = replaySequence(sequence, SYSTEMS[system]);
  const counts = { operations, differences: differences.length, deliberate: deliberate.length };
  totals.files += 1;
  totals.operations += counts.operations;
  totals.differences += counts.differences;
  totals.deliberate += counts.deliberate;

  const lines = [`${name}: ${sums(counts)}`];
  for (const difference of differences.slice(0, MAX_SHOWN)) lines.push(...shown(difference));
  if (differences.length > MAX_SHOWN) lines.push(`  and ${differences.length - MAX_SHOWN} more`);
  for (const each of new Set(deliberate.map((one) => one.name))) {
    lines.push(`  deliberate: ${each}: ${deliberate.filter((one) => one.name === each).length}`);
  }
  if (ended !== undefined) lines.push(`  not compared after operation ${operations}: ${ended}`);
  return lines.join('\n');
}

/** @param {{ operations: number, differences: number, deliberate: number }} counts */
function sums({ operations, differences, deliberate }) {
  return `${operations} operations, ${differences} differences, ${deliberate} deliberate`;
}

/**
 * @param {import('./sequence.mjs').Difference} difference
 * @returns {string[]}
 */
function shown({ line, operation, recorded, wrong }) {
  const { op, result, alloc, freed, changed, checkpoint, ...args } = recorded;
  const what =
    checkpoint === undefined ? `operation ${operation}: ${op} ${brief(args)}` : `checkpoint ${operation}`;
  return [
    `  line ${line}, ${what}`,
    ...wrong.map(
      (each) => `    ${each.member}: expected ${brief(each.expected)}, found ${brief(each.found)}`,
    ),
  ];
}

/**
 * What to say of a file that is not what it should be.
 *
 * @param {unknown} error - of another kind, it is thrown again
 */
function unreadable(error) {
  if (error instanceof MalformedFile) {
    return error.line === undefined ? error.message : `line ${error.line}: ${error.message}`;
  }
  if (error instanceof Error && 'syscall' in error) return error.message;
  throw error;
}
