import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/adapters/clock.ts';

describe('the system clock', () => {
  test('a sleep lasts as long as it was told', async () => {
    const start = performance.now();
    await systemClock.sleep(60);
    expect(performance.now() - start).toBeGreaterThanOrEqual(59);
  });

  test('an abort ends a sleep at once, without a rejection', async () => {
    const abort = new AbortController();
    const start = performance.now();
    setTimeout(() => abort.abort(), 20);
    await systemClock.sleep(60_000, abort.signal);
    expect(performance.now() - start).toBeLessThan(15_000);
  });

  test('a sleep under a signal that was aborted before does not begin', async () => {
    const start = performance.now();
    await systemClock.sleep(60_000, AbortSignal.abort());
    expect(performance.now() - start).toBeLessThan(15_000);
  });

  test('a month is not mistaken for no time at all', async () => {
    const abort = new AbortController();
    let ended = false;
    const sleep = systemClock.sleep(40 * 24 * 3_600_000, abort.signal).then(() => {
      ended = true;
    });
    await systemClock.sleep(30);
    expect(ended).toBe(false);
    abort.abort();
    await sleep;
  });

  test('it tells milliseconds since the epoch', () => {
    expect(Math.abs(systemClock.nowMs() - Date.now())).toBeLessThan(1000);
  });
});
