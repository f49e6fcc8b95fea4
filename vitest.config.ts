import { defineConfig } from 'vitest/config';
import { builtSources } from './test/support/built.ts';
import { CountReporter } from './test/support/reporter.ts';

export default defineConfig(({ mode }) => ({
  // Scripts that build first name a mode: `npm test` `built`, `npm run test:long` `long`.
  plugins: mode === 'built' || mode === 'long' ? [builtSources()] : [],
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/support/equal-bytes.ts'],
    pool: 'threads',
    isolate: false,
    maxWorkers: '100%',
    testTimeout: mode === 'long' ? 1_800_000 : 60_000,
    reporters: ['default', new CountReporter()],
  },
}));
