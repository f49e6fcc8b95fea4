import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseCount } from '../../session/index.ts';
import { fileBytes } from '../../source/node/index.ts';
import { startExplorer } from '../explorer/server.ts';
import { listWebFiles } from '../explorer/web-files.ts';
import type { Output } from '../output.ts';
import { openOptions, readRegisters, type SourceOptions } from '../session.ts';

/** Where `npm run build:web` puts the page. */
const WEB_FOLDER = fileURLToPath(new URL('../../web/', import.meta.url));

/** The options of `explore`, as commander gives them. */
export interface ExploreOptions {
  readonly port?: string;
}

/**
 * `explore`: serves the explorer with an image to the browsers of this machine, until it is told to stop.
 *
 * @param given - source options as they were given, and no others
 */
export async function explore(
  path: string,
  options: ExploreOptions,
  given: SourceOptions,
  output: Output,
): Promise<number> {
  const port = options.port === undefined ? 0 : parseCount('--port', options.port, 0, 65_535);
  const { registers: registersPath, ...tableOptions } = given;
  // Whether the other options go with the image is for the page to say: it alone looks into it.
  openOptions(tableOptions);
  const registers = registersPath === undefined ? {} : { registers: readRegisters(registersPath).text };
  const source = await fileBytes(path);
  try {
    // A file that may not be read is an error now, and not in the page.
    await source.read(0, Math.min(1, source.size));
    const files = await listWebFiles(WEB_FOLDER, {
      name: basename(path),
      sizeBytes: source.size,
      options: tableOptions,
      ...registers,
    });
    const note = (message: string): void => {
      output.note(message);
      output.flush();
    };
    const stopped = stopSignal();
    const explorer = await startExplorer({ files, secret: randomUUID(), source, port, report: note });
    output.line(output.mode === 'text' ? explorer.url : JSON.stringify({ url: explorer.url }));
    note(`serving ${path} to this machine; Ctrl-C ends it`);
    await stopped;
    await explorer.close();
    return 0;
  } finally {
    await source.close();
  }
}

/** Resolves when the program is told to stop. The second time, it ends at once. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = () => {
      process.off('SIGINT', stop);
      process.off('SIGTERM', stop);
      resolve();
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}
