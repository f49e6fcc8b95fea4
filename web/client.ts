import type { Explorer, Progress, Reply, Request } from './protocol.ts';

/** What the worker threw. `code` is a `PageTableError`'s, or `STOPPED`, or `INTERNAL`. */
export class WorkerError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

interface Waiting {
  readonly request: Request;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** Milliseconds after which work that does not stop is ended with its worker. */
const PATIENCE = 1000;

/** The worker, as the page sees it. One request is at work at a time; others wait in the worker. */
export class Client {
  /** Told of progress; `undefined` when nothing is at work. */
  onProgress: (progress: Progress | undefined) => void = () => {};
  /** Told when the worker is lost, and the image with it, unless another was asked for since. */
  onLost: (why: WorkerError) => void = () => {};
  private readonly make: () => Worker;
  private readonly waiting = new Map<number, Waiting>();
  private worker: Worker | undefined;
  private last = 0;

  /** @param make - starts a worker */
  constructor(make: () => Worker) {
    this.make = make;
    this.worker = this.start();
  }

  /** Asks the worker. A method's errors are {@link WorkerError}s. */
  async call<M extends keyof Explorer>(
    method: M,
    ...args: Parameters<Explorer[M]>
  ): Promise<Awaited<ReturnType<Explorer[M]>>> {
    return await this.callUntil(undefined, method, ...args);
  }

  /** As {@link call}, until a signal says that nobody waits for the answer any more: then the error is `STOPPED`. */
  async callUntil<M extends keyof Explorer>(
    signal: AbortSignal | undefined,
    method: M,
    ...args: Parameters<Explorer[M]>
  ): Promise<Awaited<ReturnType<Explorer[M]>>> {
    this.last += 1;
    const id = this.last;
    const request: Request = { id, method, args };
    const result = new Promise<unknown>((resolve, reject) =>
      this.waiting.set(id, { request, resolve, reject }),
    );
    this.post(request);
    const giveUp = () => {
      if (this.waiting.has(id)) this.post({ stop: id });
    };
    if (signal?.aborted) giveUp();
    signal?.addEventListener('abort', giveUp, { once: true });
    // The worker answers with what its method gives.
    return (await result) as Awaited<ReturnType<Explorer[M]>>;
  }

  /** Gives up what is at work and what waits. A worker that does not listen is ended. */
  stop(): void {
    for (const id of this.waiting.keys()) this.post({ stop: id });
    const ids = [...this.waiting.keys()];
    setTimeout(() => {
      if (!ids.some((id) => this.waiting.has(id))) return;
      this.lose(new WorkerError('STOPPED', 'stopped'), ids);
    }, PATIENCE);
  }

  /** Ends the worker, and what it was asked. The next one has no image: of what else waits, it gets what comes from an `open` on. */
  private lose(why: WorkerError, ids: readonly number[]): void {
    this.worker?.terminate();
    this.worker = undefined;
    this.onProgress(undefined);
    let hasImage = false;
    for (const [id, { request, reject }] of [...this.waiting]) {
      hasImage ||= !ids.includes(id) && 'method' in request && request.method === 'open';
      if (hasImage && !ids.includes(id)) {
        this.post(request);
      } else {
        this.waiting.delete(id);
        reject(why);
      }
    }
    if (!hasImage) this.onLost(why);
  }

  private start(): Worker {
    const worker = this.make();
    worker.onmessage = ({ data }: MessageEvent<Reply>) => this.receive(data);
    worker.onerror = (event) => {
      event.preventDefault();
      // Whatever it was, such as the end of memory, nobody knows what the worker still holds.
      const why = event.message || 'the worker could not be started, or was ended';
      if (this.worker === worker) this.lose(new WorkerError('INTERNAL', why), [...this.waiting.keys()]);
    };
    return worker;
  }

  private post(request: Request): void {
    // One that fails at once is not started again before something is asked.
    this.worker ??= this.start();
    this.worker.postMessage(request);
  }

  private receive(reply: Reply): void {
    if ('progress' in reply) {
      this.onProgress(reply.progress);
      return;
    }
    const waiting = this.waiting.get(reply.id);
    this.waiting.delete(reply.id);
    if (this.waiting.size === 0) this.onProgress(undefined);
    if ('error' in reply) waiting?.reject(new WorkerError(reply.error.code, reply.error.message));
    else waiting?.resolve(reply.result);
  }
}
