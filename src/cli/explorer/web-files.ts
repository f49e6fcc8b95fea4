import { readdir, readFile } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { PageTableError } from '../../bits/index.ts';
import { type ByteSource, memoryBytes } from '../../source/index.ts';
import { fileBytes } from '../../source/node/index.ts';
import type { SourceOptions } from '../session.ts';

/** A file that the server gives. */
export interface WebFile {
  readonly type: string;
  /** Its bytes, to be closed. */
  open(): Promise<ByteSource>;
}

/** The source of a session as the page is told of it. */
export interface PageSource {
  /** File name, for the reader. */
  readonly name: string;
  readonly sizeBytes: number;
  /** Source options that were given. */
  readonly options: Omit<SourceOptions, 'registers'>;
  /** Text of the file of registers, if one was given. */
  readonly registers?: string;
}

/** Stands in `index.html` where the page expects to be told of its source. */
const PLACEHOLDER = '<!--tablewalk-source-->';

/**
 * Lists the files of the built page, once. `index.html`, also `/`, says which source the page is to open.
 *
 * @param folder - what `npm run build:web` makes
 * @returns files by path: `/assets/main.js`; what is not among them does not exist for the server
 * @throws {@link PageTableError} `READ_FAILED` if the page is not there
 */
export async function listWebFiles(
  folder: string,
  source: PageSource,
): Promise<ReadonlyMap<string, WebFile>> {
  const files = new Map<string, WebFile>();
  const index = await readIndex(folder);
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    // A link could lead anywhere.
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const name = relative(folder, path).split(sep).join('/');
    files.set(`/${name}`, { type: typeOf(name), open: () => fileBytes(path) });
  }
  const page = new TextEncoder().encode(index.replace(PLACEHOLDER, () => metaOf(source)));
  const file: WebFile = { type: typeOf('index.html'), open: async () => memoryBytes(page) };
  return files.set('/index.html', file).set('/', file);
}

async function readIndex(folder: string): Promise<string> {
  const path = join(folder, 'index.html');
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw notBuilt(`${path} is not there`, cause);
  });
  if (!text.includes(PLACEHOLDER)) throw notBuilt(`${path} has no ${PLACEHOLDER}`);
  return text;
}

function notBuilt(found: string, cause?: unknown): PageTableError {
  const message = `explore: the page is not built: ${found}; in a clone, run: npm run build:web`;
  return new PageTableError('READ_FAILED', message, {}, { cause });
}

/** The source as the page reads it, with its names and types: what is between the quotes is JSON. */
function metaOf({ name, sizeBytes, options, registers }: PageSource): string {
  const json = JSON.stringify({ name, size: sizeBytes, options, registers });
  const escaped = json.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<meta name="tablewalk-source" content="${escaped}">`;
}

const TYPES: Readonly<Record<string, string>> = {
  css: 'text/css; charset=utf-8',
  gz: 'application/gzip',
  html: 'text/html; charset=utf-8',
  ico: 'image/x-icon',
  js: 'text/javascript; charset=utf-8',
  json: 'application/json',
  map: 'application/json',
  png: 'image/png',
  svg: 'image/svg+xml',
  txt: 'text/plain; charset=utf-8',
  woff2: 'font/woff2',
};

/** The media type of a file, by its ending. */
function typeOf(name: string): string {
  return TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
}
