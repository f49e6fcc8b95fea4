import type { Reply, Request } from '../protocol.ts';
import { OpenImage } from './open-image.ts';
import { errorOf, Work } from './work.ts';

/** Requests under way, which may be stopped. */
const works = new Map<number, Work>();
const image = new OpenImage();
/** Requests are done one after the other: each finds the image as the one before left it. */
let queue = Promise.resolve();

self.onmessage = ({ data }: MessageEvent<Request>) => {
  if ('stop' in data) {
    works.get(data.stop)?.stop();
    return;
  }
  const { id, method, args } = data;
  const work = new Work((progress) => send({ id, progress }));
  works.set(id, work);
  queue = queue.then(async () => {
    try {
      // The page sends what the protocol says; both are built together.
      const run = image[method].bind(image) as (work: Work, ...args: readonly unknown[]) => Promise<unknown>;
      send({ id, result: await run(work, ...args) });
    } catch (error) {
      send({ id, error: errorOf(error) });
    } finally {
      works.delete(id);
    }
  });
};

function send(reply: Reply): void {
  self.postMessage(reply);
}
