import { describe, expect, test } from 'vitest';
import { abort, type Decision, deploy, promote, resume, type Trouble } from '../../src/engine/deploy.ts';
import { strategies } from '../../strategies/index.ts';
import { benchSite } from './bench-site.ts';

type Bench = ReturnType<typeof benchSite>;

const batches = (bench: Bench, batch: number, hold: number | 'promote' | null = null) => ({
  ...bench.request(batch),
  strategy: strategies.rolling.create({ batch: [batch], hold }),
});

const isEverywhere = (bench: Bench, release: string | null): boolean =>
  bench.lives().every((live) => live === release);

describe('within the budget', () => {
  test('a node that fails is left out and goes back to what it had, and the others go on', async () => {
    const bench = benchSite(4, { failuresMax: 1 });
    const before = await bench.deployed(1);
    bench.broken.add('web2');
    const report = await bench.deploy(2, 2);
    expect(report).toMatchObject({ outcome: 'done in part', exit: 6, behind: ['web2'] });
    expect(bench.live('web2')).toBe(before);
    expect(bench.lives().filter((live) => live === before)).toHaveLength(1);
    expect(bench.rotations()).toEqual(['in', 'in', 'in', 'in']);
    expect(bench.locked()).toEqual([]);
  });

  test('S50: the second node that fails ends the run, and no capacity was lost', async () => {
    const bench = benchSite(12, { failuresMax: 1, servingMin: 8 });
    const before = await bench.deployed(1);
    for (const node of ['web2', 'web6', 'web10']) bench.broken.add(node);
    let fewest = 12;
    const { sleep } = bench.ports.clock;
    Object.assign(bench.ports.clock, {
      sleep: (...args: Parameters<typeof sleep>) => {
        fewest = Math.min(fewest, bench.rotations().filter((rotation) => rotation === 'in').length);
        return sleep(...args);
      },
    });
    const report = await bench.deploy(2, 4);
    expect(report).toMatchObject({ outcome: 'rolled back', exit: 1 });
    expect(report.failure?.message).toContain('web6');
    expect(report.warnings.join()).toContain('web2 was left out');
    expect(isEverywhere(bench, before)).toBe(true);
    expect(bench.rotations().every((rotation) => rotation === 'in')).toBe(true);
    expect(fewest).toBeGreaterThanOrEqual(8);
  });

  test('a release that no node answered as is not put on a second one', async () => {
    const bench = benchSite(4, { failuresMax: 2 });
    const before = await bench.deployed(1);
    for (const node of ['web1', 'web2', 'web3', 'web4']) bench.broken.add(node);
    expect(await bench.deploy(2)).toMatchObject({ outcome: 'rolled back', exit: 1 });
    const activated = bench.events.flatMap((event) =>
      event.type === 'step-started' && event.step.kind === 'activate' && event.step.release.id !== before
        ? event.step.nodes
        : [],
    );
    expect(activated.slice(-1)).toEqual(['web1']);
  });

  test('work that runs once and fails is never passed over', async () => {
    const migrate = {
      name: 'migrate',
      point: 'after:prepare',
      action: { kind: 'nodes', command: ['false'], role: null, once: true, timeoutMs: 1000 },
    } as const;
    const bench = benchSite(3, { failuresMax: 3, hooks: [migrate] });
    const report = await bench.deploy(1);
    expect(report.failure?.code).toBe('HOOK_FAILED');
    expect(bench.lives()).toEqual([null, null, null]);
  });
});

test('all nodes that fail are named, not the first', async () => {
  const bench = benchSite(4);
  await bench.deployed(1);
  for (const node of ['web1', 'web3']) bench.broken.add(node);
  const { failure } = await bench.deploy(2, 3);
  expect(failure?.message).toMatch(/2 nodes failed:\n {2}web1: .*\n {2}web3: /);
});

describe('a person who is asked', () => {
  const answering = (answers: readonly Decision[]) => {
    const asked: Trouble[] = [];
    const left = [...answers];
    return {
      asked,
      decide: async (trouble: Trouble) => {
        asked.push(trouble);
        return left.shift() ?? 'stop';
      },
    };
  };

  test('sees the failure, and may have it tried once more', async () => {
    const bench = benchSite(2);
    await bench.deployed(1);
    bench.broken.add('web1');
    const { asked, decide } = answering(['retry']);
    const mended = async (trouble: Trouble): Promise<Decision> => {
      bench.broken.clear();
      return decide(trouble);
    };
    const report = await deploy({ ...bench.request(1), ref: '2', decide: mended }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done', exit: 0 });
    expect(asked).toMatchObject([{ step: { kind: 'check', nodes: ['web1'] }, mayLeaveOut: true }]);
    expect(asked[0]?.failures[0]?.error.message).toContain('web1 failed its check');
  });

  test('may leave a node out beyond the budget', async () => {
    const bench = benchSite(3);
    const before = await bench.deployed(1);
    bench.broken.add('web1');
    const { decide } = answering(['leave out']);
    const report = await deploy({ ...bench.request(1), ref: '2', decide }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done in part', exit: 6, behind: ['web1'] });
    expect(bench.live('web1')).toBe(before);
    expect(bench.rotations()).toEqual(['in', 'in', 'in']);
  });

  test.each([
    ['rollback', { exit: 1, outcome: 'rolled back' }],
    ['halt', { exit: 3, outcome: 'needs a person' }],
    ['hold', { exit: 4, outcome: 'held' }],
    ['stop', { exit: 1, outcome: 'rolled back' }],
  ] as const)('may choose %s, whatever the site says', async (answer, ending) => {
    const bench = benchSite(3);
    await bench.deployed(1);
    bench.broken.add('web2');
    const report = await deploy({ ...bench.request(1), ref: '2', ...answering([answer]) }, bench.ports);
    expect(report).toMatchObject(ending);
  });

  test('is not asked about a lock that is lost', async () => {
    const bench = benchSite(2);
    await bench.deployed(1);
    const { asked, decide } = answering(['retry']);
    bench.faults.run = (name, { name: command }) => {
      if (command === 'switch') bench.write(name, '.sluice/lock', 'another\n{}\n');
      return null;
    };
    const report = await deploy({ ...bench.request(1), ref: '2', decide }, bench.ports);
    expect(report.failure?.code).toBe('LOCK_LOST');
    expect(asked).toEqual([]);
  });
});

describe('a run that is held after a failure', () => {
  const held = async () => {
    const bench = benchSite(3, { onFailure: 'hold' });
    const before = await bench.deployed(1);
    bench.broken.add('web2');
    const report = await bench.deploy(2);
    expect(report).toMatchObject({ outcome: 'held', exit: 4 });
    expect(bench.locked()).toEqual(['web1', 'web2', 'web3']);
    expect(bench.rotations()).toEqual(['in', 'out', 'in']);
    return { bench, before };
  };

  test('keeps every other run away, and says how it goes on', async () => {
    const { bench } = await held();
    const refused = await bench.deploy(3);
    expect(refused).toMatchObject({ outcome: 'locked', exit: 5 });
    expect(refused.failure?.hint).toContain('sluice promote goes on, sluice abort goes back');
    const resumed = await resume({ ...bench.request(1), force: true }, bench.ports);
    expect(resumed.failure).toMatchObject({ code: 'HELD' });
  });

  test('is promoted: what failed is done again', async () => {
    const { bench, before } = await held();
    bench.broken.clear();
    expect(await promote(bench.request(1), bench.ports)).toMatchObject({ outcome: 'done', exit: 0 });
    expect(bench.lives()).not.toContain(before);
    expect(new Set(bench.lives()).size).toBe(1);
    expect(bench.rotations()).toEqual(['in', 'in', 'in']);
    expect(bench.locked()).toEqual([]);
  });

  test('is aborted: every node goes back', async () => {
    const { bench, before } = await held();
    expect(await abort({ ...bench.request(1), force: false }, bench.ports)).toMatchObject({ exit: 0 });
    expect(isEverywhere(bench, before)).toBe(true);
    expect(bench.locked()).toEqual([]);
  });
});

describe('a strategy that holds', () => {
  test('for a person ends after the first batch, all of it in rotation, and goes on when it is promoted', async () => {
    const bench = benchSite(4);
    const before = await bench.deployed(1);
    const request = batches(bench, 1, 'promote');
    const report = await deploy({ ...request, ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'held', exit: 4, failure: { code: 'HELD' } });
    expect(bench.lives().map((live) => live === before)).toEqual([false, true, true, true]);
    expect(bench.rotations()).toEqual(['in', 'in', 'in', 'in']);

    const promoted = await promote(request, bench.ports);
    expect(promoted).toMatchObject({ outcome: 'done', exit: 0, warnings: [] });
    expect(bench.lives()).not.toContain(before);
    const renewed = bench.events.filter(
      (event) =>
        event.type === 'step-started' && event.step.kind === 'activate' && event.step.nodes[0] === 'web1',
    );
    expect(renewed).toHaveLength(2);
    expect(await deploy({ ...request, ref: '2' }, bench.ports)).toMatchObject({ outcome: 'nothing to do' });
  });

  test('for a time goes on by itself', async () => {
    const bench = benchSite(3);
    await bench.deployed(1);
    const report = await deploy({ ...batches(bench, 1, 9000), ref: '2' }, bench.ports);
    expect(report).toMatchObject({ outcome: 'done', exit: 0 });
    const hold = bench.events.find((event) => event.type === 'step-done' && event.step.kind === 'hold');
    expect(hold).toMatchObject({ tookMs: 9000 });
  });

  test('for a time goes back if a node stops serving meanwhile', async () => {
    const bench = benchSite(3);
    const before = await bench.deployed(1);
    const { sleep } = bench.ports.clock;
    Object.assign(bench.ports.clock, {
      sleep: (ms: number, signal?: AbortSignal) => {
        if (ms === 2000)
          bench.servers.set('web1', { rotation: 'in', health: 'down', sessions: 0, weight: 100 });
        return sleep(ms, signal);
      },
    });
    const report = await deploy({ ...batches(bench, 1, 9000), ref: '2' }, bench.ports);
    expect(report.failure?.code).toBe('BAKE_FAILED');
    expect(isEverywhere(bench, before)).toBe(true);
  });

  test('is promoted only while it is held', async () => {
    const bench = benchSite(2);
    await bench.deployed(1);
    const report = await promote(bench.request(1), bench.ports);
    expect(report).toMatchObject({ outcome: 'refused', exit: 2, failure: { code: 'NOT_HELD' } });
  });
});
