import type { Explorer, Reply, Request } from '../protocol.ts';
import { errorOf, Work } from './work.ts';

/** What does the work: each method of the protocol, given its work besides. */
export type Methods = {
  readonly [M in keyof Explorer]: (work: Work, ...args: Parameters<Explorer[M]>) => ReturnType<Explorer[M]>;
};

/** Requests are done one after the other: each finds the image as the one before left it. */
export class Requests {
  private readonly methods: Methods;
  private readonly send: (reply: Reply) => void;
  /** Requests under way, which may be stopped. */
  private readonly works = new Map<number, Work>();
  private queue = Promise.resolve();

  constructor(methods: Methods, send: (reply: Reply) => void) {
    this.methods = methods;
    this.send = send;
  }

  /** Takes what the page sends. */
  receive(request: Request): void {
    if ('stop' in request) {
      this.works.get(request.stop)?.stop();
      return;
    }
    const { id } = request;
    const work = new Work((progress) => this.send({ id, progress }));
    this.works.set(id, work);
    this.queue = this.queue.then(() => this.run(request, work));
  }

  private async run({ id, method, args }: Extract<Request, { id: number }>, work: Work): Promise<void> {
    const { methods } = this;
    try {
      // What was given up while others were at work is not begun.
      await work.begin();
      // The page sends what the protocol says; both are built together.
      const call = methods[method].bind(methods) as (
        work: Work,
        ...args: readonly unknown[]
      ) => Promise<unknown>;
      this.send({ id, result: await call(work, ...args) });
    } catch (error) {
      this.send({ id, error: errorOf(error) });
    } finally {
      this.works.delete(id);
    }
  }
}
