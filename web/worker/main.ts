import { type AtlasData, buffersOf } from '../map/atlas.ts';
import type { Attempt, Reply, Request, Tables } from '../protocol.ts';
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
      const result = await run(work, ...args);
      send({ id, result }, atlasesIn(result));
    } catch (error) {
      send({ id, error: errorOf(error) });
    } finally {
      works.delete(id);
    }
  });
};

/** The outlines that an answer holds. They are handed over: the worker does not keep them. */
function atlasesIn(result: unknown): readonly AtlasData[] {
  // What `choose` and `attempt` give, as the protocol says.
  const { atlases, tables } = Object(result) as Partial<Tables> & Partial<Attempt>;
  return atlases ?? tables?.atlases ?? [];
}

function send(reply: Reply, atlases: readonly AtlasData[] = []): void {
  self.postMessage(reply, { transfer: buffersOf(atlases) });
}
