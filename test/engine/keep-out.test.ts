import { expect, test } from 'vitest';
import { check } from '../../src/core/step.ts';
import { keepingOut } from '../../src/engine/keep-out.ts';
import { observe } from '../../src/engine/observe.ts';
import { newRun } from '../../src/engine/run.ts';
import { memberKey } from '../../src/engine/settle/tell.ts';
import type { WeightChange } from '../../src/ports.ts';
import { names, release } from '../core/fleet.ts';
import { benchSite } from './bench-site.ts';

const drain = { timeoutMs: 300, onTimeout: 'put-back', enableTimeoutMs: 300, port: null } as const;

/** Long enough for a watch to look. */
async function aMoment({ ports }: ReturnType<typeof benchSite>): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await ports.clock.sleep(100);
}

test('a node that a balancer forgets while the node changes is taken out again at once', async () => {
  const bench = benchSite(2, { drain });
  await bench.deployed(1);
  const { run } = bench.ports.transport;
  const seen: string[] = [];
  Object.assign(bench.ports.transport, {
    async run(...args: Parameters<typeof run>) {
      const [{ name }, command] = args;
      if (command.name !== 'switch' || name !== 'web1') return run(...args);
      bench.servers.set('web1', { ...bench.servers.get('web1')!, rotation: 'in' });
      await aMoment(bench);
      seen.push(bench.servers.get('web1')!.rotation);
      return run(...args);
    },
  });
  expect((await bench.deploy(2)).exit).toBe(0);
  expect(seen).toEqual(['out']);
  expect(bench.rotations()).toEqual(['in', 'in']);
});

test('a balancer that cannot be read meanwhile does not fail the step that goes on', async () => {
  const bench = benchSite(2, { drain });
  await bench.deployed(1);
  const { run } = bench.ports.transport;
  let isGone = false;
  Object.assign(bench.ports.transport, {
    async run(...args: Parameters<typeof run>) {
      if (args[1].name !== 'switch') return run(...args);
      isGone = true;
      await aMoment(bench);
      isGone = false;
      return run(...args);
    },
  });
  const { observe } = bench.ports.balancers[0]!;
  let missed = 0;
  Object.assign(bench.ports.balancers[0]!, {
    async observe() {
      const view = await observe();
      if (!isGone) return view;
      missed++;
      return { members: [{ ...view.members[0]!, unreachable: 'connection refused' }], servers: [] };
    },
  });
  expect((await bench.deploy(2)).exit).toBe(0);
  expect(missed).toBeGreaterThan(0);
});

test.each([
  ['another process', '2', [10]],
  ['the process that was told', '1', []],
])('weights of a run that %s shows to be whole are told again, or meant', async (_, incarnation, told) => {
  const bench = benchSite(2, { drain, servingMin: 1 });
  await bench.deployed(1);
  const [balancer] = bench.ports.balancers;
  const look = balancer!.observe;
  const shifted: WeightChange['to'][] = [];
  Object.assign(balancer!.capabilities, { weights: 'server' });
  Object.assign(balancer!, {
    async observe() {
      const view = await look();
      return { ...view, members: view.members.map((member) => ({ ...member, incarnation })) };
    },
    async shift([{ node, to }]: readonly [WeightChange]) {
      shifted.push(to);
      bench.servers.set(node, { ...bench.servers.get(node)!, weight: to });
    },
  });
  const { site, ports } = bench;
  const run = newRun({
    id: 'run',
    site,
    ports,
    voters: [],
    release: release(2),
    signal: bench.signal.signal,
    observed: await observe(site, ports),
  });
  run.weights.set('web1', 10);
  run.knowing.set(memberKey({ balancer: 'lb', member: 'lb' }), '1');
  for (const name of names(2)) run.heldAtMs.set(name, ports.clock.nowMs());
  const step = check(['web1'], { release: release(2), nodes: ['web1'] });
  await keepingOut(run, step, () => aMoment(bench));
  expect(shifted).toEqual(told);
});
