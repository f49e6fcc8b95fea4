#!/usr/bin/env node
import { writeSync } from 'node:fs';
import { isatty } from 'node:tty';
import { run } from './program.ts';

/** Characters gathered before they are written. */
const CHUNK = 1 << 16;

/**
 * Text for a file descriptor, written at once and in order: what a slow reader has not taken yet does not pile up in
 * memory, and a reader that has seen enough (`| head`) ends the program.
 */
class Descriptor {
  private readonly number: number;
  private text = '';

  constructor(number: number) {
    this.number = number;
  }

  write(text: string): void {
    this.text += text;
    if (this.text.length >= CHUNK) this.flush();
  }

  flush(): void {
    const bytes = new TextEncoder().encode(this.text);
    this.text = '';
    for (let done = 0; done < bytes.length; ) {
      try {
        done += writeSync(this.number, bytes, done);
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined;
        if (code === 'EPIPE' && this.number === 1) process.exit(0);
        // Nobody reads the messages: results go on.
        if (code === 'EPIPE') return;
        if (code !== 'EAGAIN') {
          if (this.number === 1) err.write(`tablewalk: cannot write: ${code ?? error}\n`);
          err.flush();
          process.exit(3);
        }
        // The reader of a non-blocking pipe is not ready: wait a millisecond.
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
      }
    }
  }
}

const out = new Descriptor(1);
const err = new Descriptor(2);
process.exitCode = await run(process.argv.slice(2), {
  out: (text) => out.write(text),
  err: (text) => err.write(text),
  flush: () => {
    out.flush();
    err.flush();
  },
  colour: isatty(1) && process.env['NO_COLOR'] === undefined,
});
out.flush();
err.flush();
