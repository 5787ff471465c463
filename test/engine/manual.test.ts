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

test('a drain by hand gives a balancer that has its servers to check a moment', async () => {
  const bench = benchSite(3, { servingMin: 2 });
  await bench.deployed(1);
  let asked = 0;
  bench.faults.balancer = () => {
    const health = ++asked < 4 ? 'starting' : 'up';
    bench.servers.set('web2', { ...bench.servers.get('web2')!, health });
  };
  await setRotation(bench.site, bench.ports, {
    nodes: ['web1'],
    to: 'out',
    force: false,
    signal: bench.signal.signal,
  });
  expect(bench.rotations()).toEqual(['out', 'in', 'in']);
});
