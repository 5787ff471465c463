import { defineConfig } from 'vitest/config';
import { Spread } from './test/lab/order.ts';

const simulated = ['engine', 'simulator', 'strategies'].map((room) => `test/${room}/**/*.test.ts`);

/**
 * `unit` and `simulation` need nothing installed, and the latter knows no time but a simulated one; `system` needs the
 * packages of test/lab/install.sh and root; `kernel` is run by a system test, in a network of its own with kernels that
 * have IPVS (test/lab/ipvs/run.ts).
 */
export default defineConfig({
  resolve: { alias: { sluice: new URL('./src/index.ts', import.meta.url).pathname } },
  test: {
    sequence: { sequencer: Spread },
    // Loading what they test costs more than most files do.
    isolate: false,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.system.test.ts', 'test/e2e/**', ...simulated],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: 15_000, interval: 20 } },
        },
      },
      {
        extends: true,
        test: {
          name: 'simulation',
          include: simulated,
          // Lives leave much behind that is young, and each goes other ways through much code: to optimize early does not pay.
          execArgv: ['--max-semi-space-size=64', '--always-sparkplug', '--interrupt-budget=400000'],
          testTimeout: 15 * 60_000,
          hookTimeout: 30 * 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'system',
          include: ['test/**/*.system.test.ts', 'test/e2e/**/*.test.ts'],
          testTimeout: 300_000,
          hookTimeout: 300_000,
          expect: { poll: { timeout: 15_000, interval: 50 } },
        },
      },
      {
        extends: true,
        test: {
          name: 'kernel',
          include: ['test/**/*.kernel.ts'],
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
