import { type AtlasData, buffersOf } from '../map/atlas.ts';
import type { Attempt, Reply, Request, Tables } from '../protocol.ts';
import { OpenImage } from './open-image.ts';
import { Requests } from './requests.ts';

const requests = new Requests(new OpenImage(), (reply) =>
  self.postMessage(reply, { transfer: buffersOf(atlasesIn(reply)) }),
);

self.onmessage = ({ data }: MessageEvent<Request>) => requests.receive(data);

/** The outlines that an answer holds. They are handed over: the worker does not keep them. */
function atlasesIn(reply: Reply): readonly AtlasData[] {
  if (!('result' in reply)) return [];
  // What `choose` and `attempt` give, as the protocol says.
  const { atlases, tables } = Object(reply.result) as Partial<Tables> & Partial<Attempt>;
  return atlases ?? tables?.atlases ?? [];
}
