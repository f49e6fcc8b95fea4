import { existsSync } from 'node:fs';
import { dirname, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'vitest/config';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SRC = `${ROOT}src${sep}`;
const DIST = `${ROOT}dist${sep}`;

/**
 * Lets tests import what was built of `src/`, as it ships, where they name a file of `src/`.
 *
 * Vitest makes each use of an imported name a call of a getter, which is up to half of the time of a test that loops; Node, which
 * imports what is built, does not.
 */
export function builtSources(): Plugin {
  return {
    name: 'built-sources',
    enforce: 'pre',
    // Left to Node.
    config: () => ({ test: { server: { deps: { external: [/[/]dist[/].*[.]js$/] } } } }),
    resolveId(specifier, importer) {
      if (importer === undefined || !specifier.startsWith('.')) return undefined;
      const file = resolve(dirname(importer), specifier);
      if (!file.startsWith(SRC) || !existsSync(file)) return undefined;
      return DIST + file.slice(SRC.length).replace(/\.ts$/, '.js');
    },
  };
}
