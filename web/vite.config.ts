import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { SAMPLES } from './samples.ts';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));

export default defineConfig({
  root: FOLDER,
  base: './',
  publicDir: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: false,
    cssCodeSplit: false,
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        format: 'iife',
        entryFileNames: 'explorer.js',
        assetFileNames: 'explorer[extname]',
      },
    },
  },
  plugins: [classicScript(), samples()],
});

/** Makes the page load one classic script: browsers refuse module scripts of a page that was opened as a file. */
function classicScript(): Plugin {
  return {
    name: 'classic-script',
    apply: 'build',
    enforce: 'post',
    transformIndexHtml: (html) =>
      html.replace(/<script type="module" crossorigin/, '<script defer').replace(/ crossorigin/g, ''),
  };
}

/** The samples that ship, each as a script that hands its bytes over: a page that was opened as a file may load nothing else. */
function samples(): Plugin {
  return {
    name: 'samples',
    apply: 'build',
    generateBundle() {
      for (const { name } of SAMPLES) {
        const folder = new URL(`../samples/${name}/`, import.meta.url);
        const core = readFileSync(new URL('core.elf.gz', folder)).toString('base64');
        const registers = readFileSync(new URL('registers.json', folder), 'utf8');
        const source = `globalThis.tablewalkSample(${JSON.stringify({ name, core, registers })});\n`;
        this.emitFile({ type: 'asset', fileName: `samples/${name}.js`, source });
      }
    },
  };
}
