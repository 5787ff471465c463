import { expect, test } from 'vitest';
import { run } from './seeds.ts';

test.each([1, 2, 3, 17, 42, 99, 1234, 987_654])(
  'seed %d gives the same trace twice, to the byte',
  async (seed) => {
    const once = await run({ seed, isTraced: true });
    const again = await run({ seed, isTraced: true });
    expect(again.trace.join('\n')).toBe(once.trace.join('\n'));
    expect(once.trace.length).toBeGreaterThan(10);
  },
);

test('another seed gives another trace', async () => {
  const [one, other] = [await run({ seed: 1, isTraced: true }), await run({ seed: 2, isTraced: true })];
  expect(one.trace).not.toEqual(other.trace);
});
