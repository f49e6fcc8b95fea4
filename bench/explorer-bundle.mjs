import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, loadConfigFromFile, mergeConfig } from 'vite';
import { ROOT } from '../scripts/checks.mjs';
import { WEB } from '../scripts/explorer/serve.mjs';

/** Parts of the bundle, by where their modules lie. The first that fits counts. */
const PARTS = [
  ['Preact', /node_modules\/preact\//],
  ['user interface: map', /^web\/map\//],
  ['user interface: worker', /^web\/worker\//],
  ['user interface: the rest', /^web\//],
  ['library: format', /^(dist|src)\/format\//],
  ['library: inspect and report', /^(dist|src)\/(inspect|report)\//],
  ['library: source', /^(dist|src)\/source\//],
  ['library: the rest', /^(dist|src)\//],
  ['other', /./],
];

/** Each file of the page: name, bytes, bytes packed with gzip. */
export function fileSizes() {
  return readdirSync(WEB, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => {
      const path = join(parentPath, name);
      const bytes = readFileSync(path);
      return [relative(WEB, path).split(sep).join('/'), bytes.length, gzipSync(bytes, { level: 9 }).length];
    });
}

/** Code by part, of the page and of its worker: name, bytes, share of all, bytes packed with gzip by themselves. */
export async function bundleParts() {
  const path = join(ROOT, 'web/vite.config.ts');
  const loaded = await loadConfigFromFile({ command: 'build', mode: 'production' }, path);
  const parts = new Map();
  const collect = (where) => ({
    name: 'collect-modules',
    generateBundle(_options, bundle) {
      for (const chunk of Object.values(bundle)) {
        for (const [id, { code }] of Object.entries(chunk.modules ?? {})) {
          const file = relative(ROOT, id.replace(/\?.*$/, '').replace(/^\0/, '')).split(sep).join('/');
          // The worker's own bundle is text in the page's.
          if (where === 'page' && /\?worker/.test(id)) continue;
          const [part] = PARTS.find(([, pattern]) => pattern.test(file));
          const name = `${where}, ${part}`;
          parts.set(name, `${parts.get(name) ?? ''}${code ?? ''}`);
        }
      }
    },
  });
  await build(
    mergeConfig(loaded.config, {
      configFile: false,
      logLevel: 'error',
      build: { write: false },
      plugins: [collect('page')],
      worker: { plugins: () => [collect('worker')] },
    }),
  );
  const all = [...parts.values()].reduce((sum, code) => sum + code.length, 0);
  return [...parts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, code]) => [
      name,
      code.length,
      `${((100 * code.length) / all).toFixed(1)} %`,
      gzipSync(code, { level: 9 }).length,
    ]);
}
