import type { Clock } from '../ports.ts';

/** The machine's clock. A sleep keeps the process alive until it ends. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const wake = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, Math.min(ms, sleepMaxMs));
      signal?.addEventListener('abort', wake, { once: true });
    }),
};

/** A longer timer would fire at once (the delay of `setTimeout` is a signed 32-bit number): 24 days. */
const sleepMaxMs = 2 ** 31 - 1;
