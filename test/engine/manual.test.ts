import { expect, test } from 'vitest';
import { setRotation } from '../../src/engine/manual.ts';
import { benchSite } from './bench-site.ts';

test('a drain by hand that would leave fewer nodes than the floor is refused, and changes nothing', async () => {
  const bench = benchSite(2, { servingMin: 2 });
  const drained = setRotation(bench.site, bench.ports, {
    nodes: ['web1'],
    to: 'out',
    force: false,
    signal: bench.signal.signal,
  });
  await expect(drained).rejects.toMatchObject({ code: 'FLOOR_AT_RISK' });
  expect(bench.rotations()).toEqual(['in', 'in']);
  expect(bench.locked()).toEqual([]);
});
