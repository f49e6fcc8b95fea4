// Replays recorded operation sequences of the original libraries on this package, and tells every difference.
//
// Usage: npm run replay -- FOLDER [FILE-PATTERN]
//
// Replays every *.jsonl.gz below FOLDER, in the order of their names; with FILE-PATTERN only those whose name (from FOLDER
// on) has it in it, where * stands for anything. If FOLDER has an index.json, a file that it lists must have the digest
// that it gives. A line per file, the first differences of a file below it, and last the sums:
//
//     N operations, N differences, N deliberate
//
// A difference is an operation or a checkpoint of which anything recorded is not found so: its result, the frames it
// took and gave back, the words it changed. A deliberate one is described in docs/differences.md under its name.
//
// Exit code: 0 everything equal, 1 differences, 2 wrong usage or nothing to replay, 3 a file that cannot be read.

import { statSync } from 'node:fs';
import { join } from 'node:path';
import { parseSequence, readIndex, readText, recordedFiles } from './replay/files.mjs';
import { replaySequence } from './replay/sequence.mjs';
import { SYSTEMS } from './replay/systems.mjs';
import { brief, MalformedFile } from './replay/values.mjs';

/** Differences that are shown of a file. */
const MAX_SHOWN = 5;

const totals = { files: 0, unreadable: 0, operations: 0, differences: 0, deliberate: 0 };

process.exitCode = main(process.argv.slice(2));

/** @param {readonly string[]} args */
function main(args) {
  const [folder, pattern] = args;
  if (args.length < 1 || args.length > 2 || folder.startsWith('-')) {
    console.error('Usage: npm run replay -- FOLDER [FILE-PATTERN]');
    return 2;
  }
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) {
    console.error(`${folder}: expected a folder of recorded files`);
    return 2;
  }
  const index = attempt('index.json', () => readIndex(folder));
  if (index === undefined) return 3;
  const names = attempt(folder, () => recordedFiles(folder, pattern)) ?? [];
  for (const name of names) {
    const line = attempt(name, () => replayFile(folder, name, index.get(name)));
    if (line !== undefined) console.log(line);
  }
  if (totals.files === 0 && totals.unreadable === 0) {
    console.error(`${folder}: nothing to replay${pattern === undefined ? '' : ` that matches ${pattern}`}`);
  }
  console.log(sums(totals));
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
 * @returns {string} what to print of it
 */
function replayFile(folder, name, sha256) {
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
 * @param {import('./replay/sequence.mjs').Difference} difference
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
 * Runs something that reads a file. A file that is not what it should be is told, and gives nothing.
 *
 * @template T
 * @param {string} name - of the file
 * @param {() => T} action
 * @returns {T | undefined}
 */
function attempt(name, action) {
  try {
    return action();
  } catch (error) {
    const isSystem = error instanceof Error && 'syscall' in error;
    if (!isSystem && !(error instanceof MalformedFile)) throw error;
    totals.unreadable += 1;
    const line = error instanceof MalformedFile && error.line !== undefined ? `line ${error.line}: ` : '';
    console.error(`${name}: ${line}${error.message}`);
    return undefined;
  }
}
