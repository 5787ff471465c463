import { describe, expect, test } from 'vitest';
import { failure } from '../../src/core/errors.ts';
import type { Report } from '../../src/core/event.ts';
import { abort, deploy, propose, resume, rollback } from '../../src/engine/deploy.ts';
import { names, node } from '../core/fleet.ts';
import { benchSite } from './bench-site.ts';

test('a deploy brings every node to the release, once, and leaves no lock', async () => {
  const bench = benchSite(3);
  const release = await bench.deployed(1);
  expect(bench.lives()).toEqual([release, release, release]);
  expect(bench.locked()).toEqual([]);
  const again = await bench.deploy(1);
  expect(again).toMatchObject({ outcome: 'nothing to do', exit: 0 });
});

describe('after a failed check', () => {
  test('rollback brings all back, and that is exit 1', async () => {
    const bench = benchSite(3);
    const before = await bench.deployed(1);
    bench.broken.add('web2');
    expect(await bench.deploy(2)).toMatchObject({ outcome: 'rolled back', exit: 1 });
    expect(bench.lives()).toEqual([before, before, before]);
    expect(bench.rotations()).toEqual(['in', 'in', 'in']);
  });

  test('halt lets the node of the batch that passed serve again', async () => {
    const bench = benchSite(4, { onFailure: 'halt' });
    const before = await bench.deployed(1);
    bench.broken.add('web2');
    expect(await bench.deploy(2, 2)).toMatchObject({ outcome: 'needs a person', exit: 3 });
    expect(bench.rotations()).toEqual(['in', 'out', 'in', 'in']);
    expect(bench.live('web1')).not.toBe(before);
  });

  test('a way back that does not work needs a person', async () => {
    const bench = benchSite(2, { balancers: [], activate: [['test', '!', '-e', '../../stop']] });
    await bench.deployed(1);
    for (const name of ['web1', 'web2']) bench.write(name, 'stop', '');
    const report = await bench.deploy(2);
    expect(report).toMatchObject({ outcome: 'needs a person', exit: 3 });
    expect(report.warnings.join()).toContain('did not come back');
  });

  test('a release that was live and never proved is not nothing to do', async () => {
    const bench = benchSite(2, { balancers: [], onFailure: 'halt' });
    await bench.deployed(1);
    bench.broken.add('web1');
    expect((await bench.deploy(2)).exit).toBe(3);
    bench.broken.clear();
    expect(await bench.deploy(2)).toMatchObject({ outcome: 'done', exit: 0 });
  });
});

test('a signal in the middle of a hook on the operator’s machine brings the node back and frees the lock', async () => {
  const bench = benchSite(3, {
    hooks: [
      {
        name: 'warm',
        point: 'before:enable',
        action: { kind: 'operator', command: ['warm'], timeoutMs: 9000 },
      },
    ],
  });
  const before = await bench.deployed(1);
  bench.faults.operator = async (_command, { signal }) => {
    bench.signal.abort('SIGINT');
    signal?.throwIfAborted();
    return { status: 0, stdout: '', stderr: '' };
  };
  const report = await bench.deploy(2);
  expect(report).toMatchObject({ outcome: 'interrupted', exit: 130 });
  expect(bench.lives()).toEqual([before, before, before]);
  expect(bench.rotations()).toEqual(['in', 'in', 'in']);
  expect(bench.locked()).toEqual([]);
});

describe('a lost reply', () => {
  test('of any command, once each, changes nothing in how a deploy ends', async () => {
    const bench = benchSite(2);
    const before = await bench.deployed(1);
    const lost = new Set<string>();
    bench.faults.run = (name, { name: command }) => {
      const key = `${name} ${command}`;
      if (lost.has(key)) return null;
      lost.add(key);
      return 'lost after';
    };
    const report = await bench.deploy(2);
    expect(report).toMatchObject({ outcome: 'done', exit: 0, warnings: [] });
    expect(bench.lives()).not.toContain(before);
    expect(bench.locked()).toEqual([]);
    expect(lost.size).toBeGreaterThan(10);
  });

  test('of the lock, for good, leaves no lock behind', async () => {
    const bench = benchSite(3);
    await bench.deployed(1);
    bench.faults.run = (name, { name: command }) =>
      name === 'web1' && command === 'acquire-lock' ? 'lost after' : null;
    expect(await bench.deploy(2)).toMatchObject({ outcome: 'refused', exit: 2 });
    expect(bench.locked()).toEqual([]);
  });
});

describe('a balancer', () => {
  test('that does not answer for a moment is asked again', async () => {
    const bench = benchSite(2);
    await bench.deployed(1);
    let calls = 0;
    bench.faults.balancer = () => {
      calls++;
      if (calls > 2 && calls % 3 === 0)
        throw failure('BALANCER_UNREACHABLE', { balancer: 'lb', address: 'lb', reason: 'restarting' });
    };
    expect(await bench.deploy(2)).toMatchObject({ outcome: 'done', exit: 0 });
  });

  test('that has just restarted, at whatever moment, is given a moment to check its servers', async () => {
    /** A deploy whose balancer has the second server to check from one question to another. */
    async function deployed(from: number): Promise<{ readonly report: Report; readonly calls: number }> {
      const bench = benchSite(2);
      await bench.deployed(1);
      let calls = 0;
      bench.faults.balancer = () => {
        calls++;
        const health = calls >= from && calls < from + 6 ? 'starting' : 'up';
        const state = bench.servers.get('web2')!;
        if (state.rotation === 'in') bench.servers.set('web2', { ...state, health });
      };
      return { report: await bench.deploy(2), calls };
    }
    const asked = (await deployed(Number.POSITIVE_INFINITY)).calls;
    expect(asked).toBeGreaterThan(10);
    // Until the first one is back, and then at the last look.
    for (const from of [...Array.from({ length: asked / 2 }, (_, index) => index + 1), asked]) {
      const { report } = await deployed(from);
      expect(report, `from question ${from} of ${asked} on`).toMatchObject({ outcome: 'done', exit: 0 });
    }
  });

  test('with requests that do not end is forced once, and says so once', async () => {
    const bench = benchSite(2, {
      drain: { timeoutMs: 300, onTimeout: 'force', enableTimeoutMs: 300, port: null },
    });
    await bench.deployed(1);
    bench.servers.set('web1', { rotation: 'in', health: 'up', sessions: 1, weight: 100 });
    const report = await bench.deploy(2);
    expect(report.exit).toBe(0);
    expect(report.warnings).toEqual([
      'web1 was changed with 1 request in flight after 300 ms (drain.onTimeout: force).',
    ]);
  });
});

test('a hook at failed runs where its role is', async () => {
  const nodes = names(3).map((name) => node(name, { address: name, roles: name === 'web3' ? ['db'] : [] }));
  const bench = benchSite(3, {
    nodes,
    hooks: [
      {
        name: 'tell',
        point: 'failed',
        action: { kind: 'nodes', command: ['touch', '../../told'], role: 'db', once: false, timeoutMs: 1000 },
      },
    ],
  });
  await bench.deployed(1);
  bench.broken.add('web1');
  await bench.deploy(2);
  expect(['web1', 'web2', 'web3'].map((name) => bench.list(name, '.').includes('told'))).toEqual([
    false,
    false,
    true,
  ]);
});

describe('a run that died', () => {
  /** As if the process had been killed at its nth command on a node. */
  async function killedAt(bench: ReturnType<typeof benchSite>, nth: number): Promise<number> {
    let commands = 0;
    const { ports, died } = bench.mortal(() => ++commands >= nth);
    await Promise.race([died, deploy({ ...bench.request(1), ref: '2' }, ports)]);
    return commands;
  }

  test.each([
    ['resumed', resume],
    ['aborted', abort],
  ] as const)('at any command can be %s', async (_, takeOver) => {
    let ended = 0;
    for (let nth = 4; ; nth++) {
      const bench = benchSite(2);
      const before = await bench.deployed(1);
      if ((await killedAt(bench, nth)) < nth) break;
      if (bench.locked().length === 0) continue;
      const report = await takeOver({ ...bench.request(1), force: true }, bench.ports);
      expect([nth, report.exit, report.failure]).toEqual([nth, 0, null]);
      expect([nth, bench.locked()]).toEqual([nth, []]);
      expect([nth, bench.rotations()]).toEqual([nth, ['in', 'in']]);
      const [live, other] = bench.lives();
      expect([nth, live]).toEqual([nth, other]);
      if (takeOver === abort) expect([nth, live]).toEqual([nth, before]);
      else expect([nth, live]).not.toEqual([nth, before]);
      ended++;
    }
    expect(ended).toBeGreaterThan(10);
  });
});

test('a rollback after a failed deploy goes to a release that is good everywhere', async () => {
  const bench = benchSite(2);
  const first = await bench.deployed(1);
  await bench.deployed(2);
  bench.broken.add('web2');
  expect((await bench.deploy(3)).exit).toBe(1);
  bench.broken.clear();
  const report = await rollback({ ...bench.request(1), to: null }, bench.ports);
  expect(report.exit).toBe(0);
  expect(bench.lives()).toEqual([first, first]);
});

describe('a plan that was approved', () => {
  const approved = async (bench: ReturnType<typeof benchSite>, ref: string) =>
    (await propose({ ...bench.request(1), ref }, bench.ports)).plan;

  test('is carried out later with its own revision and name, wherever the branch is by then', async () => {
    const bench = benchSite(2);
    await bench.deployed(1);
    const plan = await approved(bench, '2');
    await bench.ports.clock.sleep(9000);
    const resolved: string[] = [];
    const source: typeof bench.ports.source = {
      ...bench.ports.source,
      resolve: async (ref) => {
        resolved.push(ref);
        return plan.target.release.revision;
      },
    };
    const again: unknown[] = [];
    const report = await deploy(
      {
        ...bench.request(1),
        ref: 'main',
        planned: plan.target.release,
        confirm: async (proposal) => {
          again.push(proposal.plan);
          return true;
        },
      },
      { ...bench.ports, source },
    );
    expect(report.exit).toBe(0);
    expect(again).toEqual([plan]);
    expect(resolved).toEqual([plan.target.release.revision]);
    expect(bench.live('web1')).toBe(plan.target.release.id);
    expect(bench.read('web1', 'revisions.log')).toContain(`Branch main (at ${plan.target.release.revision})`);
  });

  test('has another name if a newer release was made since', async () => {
    const bench = benchSite(2);
    const plan = await approved(bench, '2');
    await bench.ports.clock.sleep(9000);
    await bench.deployed(1);
    const { target } = (
      await propose({ ...bench.request(1), ref: '2', planned: plan.target.release }, bench.ports)
    ).plan;
    expect(target.release.id > plan.target.release.id).toBe(true);
  });
});
