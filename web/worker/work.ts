import { PageTableError } from 'tablewalk/bits';
import type { Progress } from '../protocol.ts';

/** Milliseconds of work after which others get a turn. */
const TURN = 12;
/** Milliseconds between reports of progress. */
const REPORT = 80;

/** Thrown where work was given up. */
export class Stopped extends Error {}

/** One request's work: can be stopped, and tells how far it is. */
export class Work {
  private readonly report: (progress: Progress) => void;
  private stopped = false;
  private turn = performance.now();
  private told = 0;

  constructor(report: (progress: Progress) => void) {
    this.report = report;
  }

  stop(): void {
    this.stopped = true;
  }

  /**
   * Waits until what was sent before has come, a stop among it.
   *
   * @throws {@link Stopped} if one has come
   */
  async begin(): Promise<void> {
    await macrotask();
    this.turn = performance.now();
    if (this.stopped) throw new Stopped();
  }

  /**
   * Lets a stop come in between, now and then.
   *
   * @throws {@link Stopped} once it has come
   */
  async breathe(what: string, done: number, total = 0): Promise<void> {
    if (this.stopped) throw new Stopped();
    const now = performance.now();
    if (now - this.turn < TURN) return;
    if (now - this.told > REPORT) {
      this.told = now;
      this.report({ what, done, total });
    }
    await macrotask();
    this.turn = performance.now();
    if (this.stopped) throw new Stopped();
  }
}

/** What a thrown value is to the page. */
export function errorOf(thrown: unknown): { code: string; message: string } {
  if (thrown instanceof Stopped) return { code: 'STOPPED', message: 'stopped' };
  if (thrown instanceof PageTableError) return { code: thrown.code, message: thrown.message };
  return {
    code: 'INTERNAL',
    message: thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown),
  };
}

/** Waits until what is in the queue of messages has had its turn; timers would wait for milliseconds. */
function macrotask(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
