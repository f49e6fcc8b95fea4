import type { Request } from '../protocol.ts';
import { OpenImage } from './open-image.ts';
import { Requests } from './requests.ts';

const requests = new Requests(new OpenImage(), (reply) => self.postMessage(reply));

self.onmessage = ({ data }: MessageEvent<Request>) => requests.receive(data);
