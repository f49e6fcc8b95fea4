import { defineConfig } from 'vitest/config';
import { CountReporter } from './test/support/reporter.ts';

export default defineConfig(({ mode }) => ({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/support/equal-bytes.ts'],
    pool: 'threads',
    isolate: false,
    maxWorkers: '100%',
    // `npm run test:long` is vitest's mode `long`.
    testTimeout: mode === 'long' ? 1_800_000 : 60_000,
    reporters: ['default', new CountReporter()],
  },
}));
