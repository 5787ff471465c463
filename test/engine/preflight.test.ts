import { expect, test } from 'vitest';
import { benchSite } from './bench-site.ts';

test('a strategy that takes nodes out is refused where a balancer only flips, and nothing is touched', async () => {
  const bench = benchSite(2);
  const before = await bench.deployed(1);
  const [balancer] = bench.ports.balancers;
  const capabilities = { ...balancer!.capabilities, flipsOnly: true } as const;
  Object.assign(bench.ports, { balancers: [{ ...balancer, capabilities }] });
  const { exit, failure } = await bench.deploy(2);
  expect([exit, failure?.code, bench.lives()]).toEqual([2, 'PREFLIGHT', [before, before]]);
  expect(failure?.message).toContain(
    'balancers.lb: it only moves all traffic from one pool to the other, and strategy rolling takes nodes out',
  );
  expect(failure?.message).toContain('Use strategy blue-green');
});
