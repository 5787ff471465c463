import { describe, expect, test } from 'vitest';
import { run, story } from './seeds.ts';

/** Seeds in all; every one draws its own site, strategy and mix of faults. `SIMULATE_SEED` runs one alone. */
const count = Number(process.env.SIMULATE_SEEDS ?? 400);
const first = Number(process.env.SIMULATE_SEED ?? 1);
const seedsOfTest = 100;
const starts =
  process.env.SIMULATE_SEED === undefined
    ? Array.from({ length: Math.ceil(count / seedsOfTest) }, (_, i) => first + i * seedsOfTest)
    : [first];

describe('every promise holds, whatever happens, and all comes right once nothing fails any more', () => {
  const struck = new Map<string, number>();
  const ends = new Map<string, number>();

  test.each(starts)('seeds from %d', { timeout: 120_000 }, async (start) => {
    const last = process.env.SIMULATE_SEED === undefined ? start + seedsOfTest : start + 1;
    const failed: string[] = [];
    for (let seed = start; seed < last; seed++) {
      const simulated = await run({ seed });
      if (simulated.broken.length > 0)
        failed.push(
          `${story(simulated)}\nreplay: SIMULATE_SEED=${seed} npx vitest run --project unit test/simulator/swarm.test.ts`,
        );
      for (const [fault, times] of simulated.struck) struck.set(fault, (struck.get(fault) ?? 0) + times);
      for (const end of simulated.ends) ends.set(end, (ends.get(end) ?? 0) + 1);
    }
    expect(failed.slice(0, 3).join('\n\n'), `${failed.length} seeds broke a promise`).toBe('');
  });

  test.runIf(starts.length > 3)('every fault struck, and every way to end was taken', () => {
    for (const fault of faults) expect([fault, (struck.get(fault) ?? 0) > 0]).toEqual([fault, true]);
    for (const end of endings)
      expect([end, [...ends.keys()].some((one) => one.startsWith(end))]).toEqual([end, true]);
  });
});

const faults = [
  'unreachable',
  'lost request',
  'lost reply',
  'slow',
  'balancer error',
  'stale read',
  'hook fails',
  'activate fails',
  'source fails',
  'reboot',
  'balancer restart',
  'flap',
  'cut off',
  'full disk',
  'operator acts',
  'branch moves',
];

const endings = [
  'deploy: done',
  'deploy: died',
  'deploy: nothing to do',
  'deploy: rolled back',
  'deploy: needs a person',
  'deploy: interrupted',
  'deploy: locked',
  'deploy: refused',
  'rollback: done',
  'rollback: died',
  'resume: done',
  'resume: died',
  'abort: done',
  'abort: died',
  'unlock: done',
  'drain: done',
  'enable: done',
];
