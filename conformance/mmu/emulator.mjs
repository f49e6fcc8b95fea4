// Runs a guest in an emulator, with a time limit.

import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * How an emulator ended.
 *
 * @typedef {{ timedOut: boolean, code: number | null, stdout: Uint8Array, output: string }} Ended
 */

/** What an emulator writes to stderr is kept up to here. */
const MAX_OUTPUT = 400;

/**
 * Runs a command, and kills it when the time is over.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ seconds: number, folder?: string }} limits
 * @returns {Promise<Ended>}
 */
export function runLimited(command, args, { seconds, folder }) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
    /** @type {Uint8Array[]} */
    const chunks = [];
    let output = '';
    let timedOut = false;
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-MAX_OUTPUT);
    });
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, seconds * 1000);
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ timedOut, code, stdout: Buffer.concat(chunks), output });
    });
  });
}

/**
 * Why a guest did not come to its end, if it had no exception of its own.
 *
 * @param {Ended} ended
 */
export function endedText({ timedOut, code, output }) {
  if (timedOut) return 'the guest did not end in time';
  return `the guest ended early, exit code ${code} ${output}`.trim();
}

/**
 * Does something with a folder of its own, which is gone afterwards.
 *
 * @template T
 * @param {(folder: string) => Promise<T>} action
 */
export async function withFolder(action) {
  const folder = mkdtempSync(join(tmpdir(), 'tablewalk-'));
  try {
    return await action(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/**
 * The line of what a command prints that tells its version; nothing if it is not there.
 *
 * @param {string} command
 * @param {readonly string[]} args
 */
export function versionOf(command, args) {
  const { error, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) return undefined;
  const lines = `${stdout}\n${stderr}`.split('\n').map((line) => line.trim());
  return lines.find((line) => /emulator.*\d/i.test(line)) ?? command;
}
