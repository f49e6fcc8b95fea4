import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** Root of the repository, with a trailing separator. */
export const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Memory image that the package checks open; the first argument of a script replaces it. */
export const SAMPLE = 'samples/linux-amd64-la48/core.elf.gz';

/** Counts what a script checks and ends it with `N passed, N failed, N skipped`. */
export class Checks {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  /** Runs one check. It fails by throwing; what it returns is printed beside its name. */
  async check(name, body) {
    try {
      const note = await body();
      this.#passed++;
      console.log(`ok      ${name}${typeof note === 'string' ? ` (${note})` : ''}`);
      return true;
    } catch (error) {
      this.#failed++;
      console.log(`FAILED  ${name}: ${error instanceof Error ? error.message : error}`);
      return false;
    }
  }

  /** Counts a check that cannot run here, for example because a tool is missing. */
  skip(name, reason) {
    this.#skipped++;
    console.log(`skipped ${name}: ${reason}`);
  }

  /** Prints the last line and sets the exit code. In CI every tool is expected, so there a skip fails the run. */
  finish() {
    if (this.#failed > 0 || (this.#skipped > 0 && process.env.CI === 'true')) {
      process.exitCode = 1;
    }
    console.log(`${this.#passed} passed, ${this.#failed} failed, ${this.#skipped} skipped`);
  }
}

/** Runs a command to its end and returns its stdout; throws with all it printed if it does not exit with 0. */
export function run(command, args, cwd = ROOT) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', maxBuffer: 64 << 20 });
  if (result.error !== undefined) {
    throw result.error;
  }
  if (result.status !== 0) {
    throw new Error(
      `${[command, ...args].join(' ')} exited with ${result.status ?? result.signal}\n${result.stdout}${result.stderr}`,
    );
  }
  return result.stdout;
}
