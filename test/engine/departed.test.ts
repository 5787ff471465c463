import { expect, test } from 'vitest';
import type { NodeName } from '../../src/core/node.ts';
import type { Site } from '../../src/core/site.ts';
import { deploy } from '../../src/engine/deploy.ts';
import { names } from '../core/fleet.ts';
import { benchSite } from './bench-site.ts';

type Bench = ReturnType<typeof benchSite>;

/** A deploy to all nodes of the bench, while its list says `now`; from its activation on nobody reaches web2. */
async function whileItVanishes(bench: Bench, now: () => readonly NodeName[] | null) {
  let isOff = false;
  bench.faults.run = (name, { name: command, params }) => {
    isOff ||= name === 'web2' && command === 'switch' && params !== null;
    return isOff && name === 'web2' ? 'unreachable' : null;
  };
  const site: Site = { ...bench.site, lists: [{ shown: 'the command ./list', nodes: 4 }] };
  const lists = {
    async read(): Promise<Site> {
      const listed = now();
      return { ...site, nodes: site.nodes.filter(({ name }) => listed?.includes(name) ?? true) };
    },
    open: async () => ({ ...bench.ports, close: async () => {} }),
  };
  return deploy({ ...bench.request(1), site, lists, ref: '2' }, bench.ports);
}

test('a node that cannot be reached, and that its list does not have any more, is gone and fails nothing', async () => {
  const bench = benchSite(4);
  const before = await bench.deployed(1);
  const report = await whileItVanishes(bench, () => ['web1', 'web3', 'web4']);
  expect(report).toMatchObject({ outcome: 'done', exit: 0, failure: null, behind: [] });
  expect(report.warnings).toEqual([
    'web2 is gone: the list of nodes does not have it any more, and it cannot be reached.',
  ]);
  expect(bench.lives().filter((live) => live !== before)).toHaveLength(3);
  expect(bench.read('web1', '.sluice/history')).toContain('gone: web2');
});

test('one that its list still has failed', async () => {
  const bench = benchSite(4);
  await bench.deployed(1);
  const report = await whileItVanishes(bench, () => names(4));
  expect(report.exit).not.toBe(0);
  expect(report.failure?.message).toContain('web2');
});

test('one that its list does not have, but that answers, failed its checks all the same', async () => {
  const bench = benchSite(3);
  const before = await bench.deployed(1);
  bench.broken.add('web2');
  const site: Site = { ...bench.site, lists: [{ shown: 'the command ./list', nodes: 3 }] };
  const lists = {
    read: async () => ({ ...site, nodes: site.nodes.filter(({ name }) => name !== 'web2') }),
    open: async () => ({ ...bench.ports, close: async () => {} }),
  };
  const report = await deploy({ ...bench.request(1), site, lists, ref: '2' }, bench.ports);
  expect(report).toMatchObject({ outcome: 'rolled back', exit: 1 });
  expect(bench.lives()).toEqual([before, before, before]);
});
