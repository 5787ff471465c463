import { expect, test } from 'vitest';
import { maintain } from '../../src/engine/maintenance.ts';
import { benchSite } from './bench-site.ts';

const request = { reason: 'moving house', withoutQuorum: false, signal: new AbortController().signal };

test('visitors are turned away wherever a node can be reached, and who could not be is told', async () => {
  const bench = benchSite(3);
  await bench.deployed(1);
  bench.faults.run = (name) => (name === 'web3' ? 'unreachable' : null);
  await maintain(bench.site, bench.ports, { ...request, to: 'on' });
  const isClosed = (name: string): boolean => bench.exists(name, 'maintenance');
  for (const name of ['web1', 'web2'])
    expect(bench.read(name, 'maintenance')).toMatch(/^\S+: moving house\n$/);
  expect(isClosed('web3')).toBe(false);
  const warnings = bench.events.flatMap((event) => (event.type === 'note' ? [event.text] : []));
  expect(warnings).toContain('web3 cannot be reached: nobody knows whether visitors are turned away there.');
  expect(bench.locked()).toEqual([]);
  await maintain(bench.site, bench.ports, { ...request, to: 'off' });
  expect([isClosed('web1'), isClosed('web2')]).toEqual([false, false]);
});

test('with most nodes out of reach it needs the word of the operator', async () => {
  const bench = benchSite(3);
  await bench.deployed(1);
  bench.faults.run = (name) => (name === 'web1' ? null : 'unreachable');
  await expect(maintain(bench.site, bench.ports, { ...request, to: 'on' })).rejects.toMatchObject({
    code: 'NO_QUORUM',
    hint: expect.stringContaining('--without-quorum'),
  });
  await maintain(bench.site, bench.ports, { ...request, to: 'on', withoutQuorum: true });
  expect(bench.exists('web1', 'maintenance')).toBe(true);
});
