import { expect, test, vi } from 'vitest';
import { Client } from '../../web/client.ts';
import type { Change, Reply, Request } from '../../web/protocol.ts';
import { type Methods, Requests } from '../../web/worker/requests.ts';
import type { Work } from '../../web/worker/work.ts';

/** What the page sees of a worker, in the same thread: what is sent comes as a message, later. */
function workerOf(methods: Partial<Methods>): Worker {
  const { port1, port2 } = new MessageChannel();
  // Only the methods of the test are asked for.
  const requests = new Requests(methods as Methods, (reply) => port2.postMessage(reply));
  port2.onmessage = ({ data }: MessageEvent<Request>) => requests.receive(data);
  const worker = {
    onmessage: undefined as ((event: { data: Reply }) => void) | undefined,
    postMessage: (request: Request) => port1.postMessage(request),
    terminate: () => port1.close(),
  };
  port1.onmessage = ({ data }: MessageEvent<Reply>) => worker.onmessage?.({ data });
  return worker as unknown as Worker;
}

/** A worker whose changes take a while, and what became of them. */
function setUp() {
  const begun: number[] = [];
  const ended: number[] = [];
  const attempt = async (work: Work, changes: readonly Change[]) => {
    begun.push(changes.length);
    const end = performance.now() + 100;
    while (performance.now() < end) await work.breathe('changing', 0);
    ended.push(changes.length);
    return { changes };
  };
  const table = async () => 'a table';
  const worker = workerOf({ attempt, table } as unknown as Methods);
  return { client: new Client(() => worker), worker, begun, ended };
}

/** So many changes. */
function changesOf(count: number): readonly Change[] {
  return Array.from({ length: count }, (_, i) => ({ kind: 'flag', register: 'CR4', name: `F${i}` }));
}

test('of changes that follow each other quickly, those out of date are stopped or not begun', async () => {
  const { client, worker, begun, ended } = setUp();
  const results = [];
  let controller = new AbortController();
  for (let count = 1; count <= 14; count += 1) {
    controller.abort();
    controller = new AbortController();
    results.push(client.callUntil(controller.signal, 'attempt', changesOf(count)));
    // The first is at work by then.
    if (count === 1) await new Promise((resolve) => setTimeout(resolve, 30));
  }
  const settled = await Promise.allSettled(results);
  expect(begun).toEqual([1, 14]);
  expect(ended).toEqual([14]);
  expect(
    settled.map((one) => (one.status === 'rejected' ? one.reason.code : one.value.changes.length)),
  ).toEqual([...Array.from({ length: 13 }, () => 'STOPPED'), 14]);
  worker.terminate();
});

test('what others wait for goes on', async () => {
  const { client, worker } = setUp();
  const controller = new AbortController();
  const stopped = client.callUntil(controller.signal, 'attempt', changesOf(1));
  const kept = client.callUntil(new AbortController().signal, 'attempt', changesOf(2));
  const other = client.call('table', { space: 0, depth: 0, frame: 0 });
  controller.abort();
  await expect(stopped).rejects.toMatchObject({ code: 'STOPPED' });
  expect((await kept).changes).toHaveLength(2);
  expect(await other).toBe('a table');
  // An answer that has come cannot be given up.
  controller.abort();
  worker.terminate();
});

/** Workers that never answer, and what each was sent. */
function deaf() {
  const sent: Request[][] = [];
  const workers: { onerror?: (event: { message: string; preventDefault(): void }) => void }[] = [];
  const client = new Client(() => {
    const mine: Request[] = [];
    sent.push(mine);
    const worker = { postMessage: (request: Request) => mine.push(request), terminate() {} };
    workers.push(worker);
    return worker as unknown as Worker;
  });
  const heard: string[] = [];
  client.onLost = () => heard.push('lost');
  client.onProgress = (progress) => heard.push(progress?.what ?? 'at rest');
  const methods = (worker: number) => sent[worker]?.map((one) => ('stop' in one ? 'stop' : one.method));
  return { client, workers, heard, methods };
}

const codeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => 'answered',
    (error: { code: string }) => error.code,
  );

test('of what is asked after a stop that is not heard, the next worker gets what begins with an image', async () => {
  vi.useFakeTimers();
  try {
    const { client, heard, methods } = deaf();
    const before = codeOf(client.call('choose', {}));
    client.stop();
    const without = codeOf(client.call('explain', 0n));
    void client.call('open', { name: 'another', url: '' });
    void client.call('choose', {});
    vi.runAllTimers();
    expect(await before).toBe('STOPPED');
    expect(await without).toBe('STOPPED');
    expect(methods(1)).toEqual(['open', 'choose']);
    expect(heard).toEqual(['at rest']);
  } finally {
    vi.useRealTimers();
  }
});

test('without an image for the next worker, the page is told that there is none', async () => {
  vi.useFakeTimers();
  try {
    const { client, heard, methods } = deaf();
    void codeOf(client.call('choose', {}));
    client.stop();
    const after = codeOf(client.call('explain', 0n));
    vi.runAllTimers();
    expect(await after).toBe('STOPPED');
    expect(methods(1)).toBeUndefined();
    expect(heard).toEqual(['at rest', 'lost']);
  } finally {
    vi.useRealTimers();
  }
});

test('a worker that breaks down is replaced when something is asked again', async () => {
  const { client, workers, heard, methods } = deaf();
  const asked = codeOf(client.call('explain', 0n));
  workers[0]?.onerror?.({ message: 'out of memory', preventDefault() {} });
  expect(await asked).toBe('INTERNAL');
  expect(heard).toEqual(['at rest', 'lost']);
  expect(methods(1)).toBeUndefined();
  void client.call('open', { name: 'again', url: '' });
  expect(methods(1)).toEqual(['open']);
});
