import { expect, test } from 'vitest';
import type { NodeName } from '../../src/core/node.ts';
import type { Site } from '../../src/core/site.ts';
import { propose } from '../../src/engine/deploy.ts';
import { shrunk } from '../../src/engine/shrunk.ts';
import { names } from '../core/fleet.ts';
import { benchSite } from './bench-site.ts';

const listing = (bench: ReturnType<typeof benchSite>, nodes: readonly NodeName[]): Site => ({
  ...bench.site,
  nodes: bench.site.nodes.filter(({ name }) => nodes.includes(name)),
  lists: [{ shown: 'the command ./list', nodes: nodes.length }],
});

const warning = 'The site had 5 nodes at its last run, and has 2 by the command ./list.';

test('a list that lost more than half of its nodes since the last run is worth a warning', async () => {
  const bench = benchSite(5);
  expect(await shrunk(listing(bench, names(2)), bench.ports)).toEqual([]);
  await bench.deployed(1);
  expect(await shrunk(listing(bench, names(2)), bench.ports)).toEqual([warning]);
  expect(await shrunk(listing(bench, names(3)), bench.ports)).toEqual([]);
  expect(await shrunk({ ...listing(bench, names(2)), lists: [] }, bench.ports)).toEqual([]);
});

test('a plan says so, and a node that cannot be read leaves that to the others', async () => {
  const bench = benchSite(5);
  await bench.deployed(1);
  const site = listing(bench, names(2));
  const { plan } = await propose({ ...bench.request(1), site, ref: '2' }, bench.ports);
  expect(plan.warnings).toContain(warning);
  bench.faults.run = (name, { name: command }) =>
    name === 'web1' && command === 'read-history' ? 'unreachable' : null;
  bench.write('web2', '.sluice/history', `${bench.read('web2', '.sluice/history')}{"at":"2027`);
  expect(await shrunk(site, bench.ports)).toEqual([warning]);
});
