import { expect, test } from 'vitest';
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
