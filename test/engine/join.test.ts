import { describe, expect, test } from 'vitest';
import { failure } from '../../src/core/errors.ts';
import type { NodeName } from '../../src/core/node.ts';
import type { Site } from '../../src/core/site.ts';
import { deploy, resume, rollback, sync } from '../../src/engine/deploy.ts';
import { names } from '../core/fleet.ts';
import { benchSite } from './bench-site.ts';

type Bench = ReturnType<typeof benchSite>;

/** A site as its list has it, with these nodes of the bench. */
const listing = (bench: Bench, nodes: readonly NodeName[]): Site => ({
  ...bench.site,
  nodes: bench.site.nodes.filter(({ name }) => nodes.includes(name)),
  lists: [{ shown: 'the command ./list', nodes: nodes.length }],
});

/** A request on a site whose list has `first`, and then, each time that it is read again, the next of `then`. */
function listed(bench: Bench, first: readonly NodeName[], ...then: readonly (readonly NodeName[])[]) {
  let reads = 0;
  const opened: (readonly NodeName[])[] = [];
  const request = {
    ...bench.request(1),
    site: listing(bench, first),
    lists: {
      read: async () => listing(bench, then[Math.min(reads++, then.length - 1)]!),
      async open(site: Site) {
        opened.push(site.nodes.map(({ name }) => name));
        return { ...bench.ports, close: async () => void opened.pop() };
      },
    },
  };
  return { request, opened, reads: () => reads };
}

const enabledOf = (bench: Bench): readonly NodeName[] =>
  bench.events.flatMap((event) =>
    event.type === 'step-started' && event.step.kind === 'enable' ? event.step.nodes : [],
  );

const checkedBeforeEnabled = (bench: Bench, node: NodeName): boolean => {
  const kinds = bench.events.flatMap((event) =>
    event.type === 'step-done' && event.step.nodes.includes(node) ? [event.step.kind] : [],
  );
  return kinds.lastIndexOf('check') >= 0 && kinds.lastIndexOf('check') < kinds.lastIndexOf('enable');
};

describe('a node that joins while a deploy is under way', () => {
  test('has its release before the command ends, and was checked before it was enabled', async () => {
    const bench = benchSite(4);
    const { request, opened } = listed(bench, names(3), names(4));
    const report = await deploy({ ...request, ref: '1' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done', exit: 0, behind: [] });
    expect(report.nodes?.map(({ name }) => name)).toEqual(names(4));
    expect(new Set(bench.lives()).size).toBe(1);
    expect(checkedBeforeEnabled(bench, 'web4')).toBe(true);
    expect(bench.locked()).toEqual([]);
    expect(opened).toEqual([]);
  });

  test('from an old image, is brought on, though all others would have to go back for it', async () => {
    const bench = benchSite(5);
    const old = await bench.deployed(1);
    const { request } = listed(bench, names(2), names(5));
    const report = await deploy({ ...request, ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done' });
    expect(new Set(bench.lives())).toEqual(new Set([bench.live('web1')]));
    expect(bench.live('web5')).not.toBe(old);
  });

  test('and cannot be brought on, for the site is not ready, has the report say what is so by then', async () => {
    const bench = benchSite(3);
    const { request } = listed(bench, names(2), names(3));
    const read = async () => {
      bench.servers.set('web1', { ...bench.servers.get('web1')!, health: 'down' });
      bench.faults.run = (name) => (name === 'web2' ? 'unreachable' : null);
      return request.lists.read();
    };
    const report = await deploy({ ...request, lists: { ...request.lists, read }, ref: '1' }, bench.ports);
    expect(report).toMatchObject({ exit: 6, failure: { code: 'PREFLIGHT' }, behind: ['web3'] });
    expect(report.nodes?.find(({ name }) => name === 'web1')?.serving).toBe(false);
  });

  test('and keeps the lock, for it cannot be reached at the end, is told of', async () => {
    const bench = benchSite(3);
    const { request } = listed(bench, names(2), names(3));
    bench.faults.run = (name, command) =>
      name === 'web3' && command.name === 'release-lock' ? 'unreachable' : null;
    const { exit, warnings } = await deploy({ ...request, ref: '1' }, bench.ports);
    expect([exit, warnings]).toEqual([0, [expect.stringContaining('the lock on web3 was not given back')]]);
  });

  test('and whose checks fail takes no traffic with the release, which is live all the same', async () => {
    const bench = benchSite(3);
    const before = await bench.deployed(1);
    bench.broken.add('web3');
    const { request } = listed(bench, names(2), names(3));
    const report = await deploy({ ...request, ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done in part', exit: 6, behind: ['web3'] });
    expect(report.failure?.message).toContain('web3');
    expect(bench.live('web3')).toBe(before);
    expect(bench.live('web1')).not.toBe(before);
  });

  test('is asked until it answers, and is told of if it never does', async () => {
    const bench = benchSite(3);
    let asked = 0;
    bench.faults.run = (name) => (name === 'web3' && asked++ < 5 ? 'unreachable' : null);
    const slow = listed(bench, names(2), names(3));
    expect(await deploy({ ...slow.request, ref: '1' }, bench.ports)).toMatchObject({ outcome: 'done' });
    expect(new Set(bench.lives()).size).toBe(1);

    bench.faults.run = (name) => (name === 'web3' ? 'unreachable' : null);
    const never = listed(bench, names(2), names(3));
    const report = await deploy({ ...never.request, ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done in part', exit: 6, behind: ['web3'] });
    expect(report.warnings.join()).toContain('web3 joined, and cannot be reached: sluice sync');
  });

  test('is brought on for three rounds, and whoever joins still is named', async () => {
    const bench = benchSite(6);
    const { request } = listed(bench, names(2), names(3), names(4), names(5), names(6));
    const report = await deploy({ ...request, ref: '1' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done in part', exit: 6, behind: ['web6'] });
    expect(report.warnings.join()).toContain('web6 joined still, and are behind: sluice sync');
    expect(new Set(bench.lives().slice(0, 5)).size).toBe(1);
    expect(bench.live('web6')).toBeNull();
    expect(enabledOf(bench)).not.toContain('web6');
  });

  test('is brought to what a rollback, and a sync, leads to', async () => {
    const bench = benchSite(4);
    const first = await bench.deployed(1);
    await bench.deployed(2);
    bench.rebuild('web4');
    const back = listed(bench, names(3), names(4));
    expect(await rollback({ ...back.request, to: null }, bench.ports)).toMatchObject({ exit: 0 });
    expect(bench.lives()).toEqual([first, first, first, first]);

    bench.rebuild('web3');
    bench.rebuild('web4');
    const on = listed(bench, names(3), names(4));
    expect(await sync({ ...on.request, to: null }, bench.ports)).toMatchObject({ exit: 0 });
    expect(bench.lives()).toEqual([first, first, first, first]);
  });
});

test.each(['empty', 'from an old image'])(
  'a node that joined %s after a run died is brought to its release by whoever resumes it',
  async (how) => {
    const bench = benchSite(4);
    await bench.deployed(1);
    if (how === 'empty') bench.rebuild('web4');
    const { ports, died } = bench.mortal(({ name }) => name === 'switch');
    void deploy({ ...listed(bench, names(3), names(3)).request, ref: '2' }, ports);
    await died;
    const later = listed(bench, names(4), names(4));
    const report = await resume({ ...later.request, force: true }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done', exit: 0 });
    expect(new Set(bench.lives())).toEqual(new Set([bench.live('web1')]));
    expect(bench.locked()).toEqual([]);
  },
);

test('a list that cannot be read again does not undo what is done', async () => {
  const bench = benchSite(2);
  const { request } = listed(bench, names(2), names(2));
  const read = async () => {
    throw failure('NODES_UNLISTED', { list: 'the command ./list', reason: 'it ended with status 1' });
  };
  const report = await deploy({ ...request, lists: { ...request.lists, read }, ref: '1' }, bench.ports);
  expect(report).toMatchObject({ outcome: 'done', exit: 0 });
  expect(JSON.stringify(bench.events)).toContain('Whether nodes joined meanwhile nobody knows');
});

test('a deploy that fails brings nobody on', async () => {
  const bench = benchSite(3);
  await bench.deployed(1);
  bench.broken.add('web1');
  const { request, reads } = listed(bench, names(2), names(3));
  expect(await deploy({ ...request, ref: '2' }, bench.ports)).toMatchObject({ outcome: 'rolled back' });
  expect(reads()).toBe(0);
});
