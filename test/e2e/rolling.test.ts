import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { LabBalancer } from '../lab/balancer.ts';
import { eventsOfType, nodesOfSteps } from '../lab/events.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { patience } from '../lab/patience.ts';
import { onNode } from '../lab/ssh.ts';
import { clients, watchRotation } from '../lab/watch.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 10 });
});
afterAll(() => lab?.stop());

test('S36: no client sees an error during a rolling deploy, and never fewer than 3 of 4 nodes are in rotation', async () => {
  const site = await lab.site({ name: 's36', nodes: 4, settings: { servingMin: 3 } });
  await site.deployed('good-1');
  const traffic = await clients(site.balancer!);
  const rotation = watchRotation(site.balancer!);
  // Slow requests of 3 s are in flight on every node before the first one is drained.
  await sleep(1000);
  const run = await site.deploy('good-2', '--json');
  const [report, { fewestUp }] = [await traffic.stop(), await rotation.stop()];

  expect(run.exit, run.output).toBe(0);
  expect(report).toMatchObject({ failed: 0, failures: [], truncated: 0, late: 0 });
  expect(report.slowInFlightMin).toBeGreaterThan(0);
  expect(fewestUp).toBe(3);
  expect(nodesOfSteps(run, 'drain')).toEqual([['web1'], ['web2'], ['web3'], ['web4']]);
  expect((await site.ask(site.node('web4'), '/'))?.body).toContain('version good-2');
});

/** A request of a minute that is in flight on every node of the site; says how each ended. */
async function longRequests({ url, inFlight }: LabBalancer, nodes: number) {
  const ended: string[] = [];
  const stopping = new AbortController();
  const asked = Array.from({ length: nodes }, async () => {
    try {
      const response = await fetch(`${url}/slow?ms=60000`, { signal: stopping.signal });
      await response.text();
      ended.push('whole');
    } catch (error) {
      if (!stopping.signal.aborted) ended.push(String(error));
    }
  });
  await expect.poll(async () => Object.values(await inFlight()), patience).toEqual(Array(nodes).fill(1));
  return {
    ended,
    async stop() {
      stopping.abort();
      await Promise.all(asked);
    },
  };
}

test('S37: a request that outlives the drain timeout is cut where the policy is force', async () => {
  const site = await lab.site({
    name: 's37-force',
    nodes: 2,
    settings: { drain: { timeout: '5s', onTimeout: 'force' } },
  });
  await site.deployed('good-1');
  const requests = await longRequests(site.balancer!, 2);
  const run = await site.deploy('good-2', '--json', '--nodes', 'web1');
  await requests.stop();

  expect(run.exit, run.output).toBe(0);
  const [drained] = eventsOfType(run, 'step-done').filter(({ step }) => step.kind === 'drain');
  expect(drained?.tookMs).toBeGreaterThanOrEqual(5000);
  expect(drained?.tookMs).toBeLessThan(30_000);
  expect(requests.ended).toHaveLength(1);
  expect(run.output).toMatch(/web1 was changed with 1 request in flight after 5000 ms/);
  expect((await site.ask(site.node('web1'), '/'))?.body).toContain('version good-2');
});

test('S37: a request that outlives the drain timeout puts the node back untouched where the policy is put-back', async () => {
  const site = await lab.site({
    name: 's37-put-back',
    nodes: 2,
    settings: { drain: { timeout: '5s', onTimeout: 'put-back' } },
  });
  const first = await site.deployed('good-1');
  const requests = await longRequests(site.balancer!, 2);
  const run = await site.deploy('good-2');
  const cut = [...requests.ended];
  await requests.stop();

  expect(run.exit, run.output).toBe(1);
  expect(run.output).toContain('web1 still had 1 request in flight 5000 ms after it was drained');
  expect(cut).toEqual([]);
  expect(await site.served()).toEqual({ web1: first, web2: first });
  expect(await site.rotation()).toEqual({ web1: 'UP', web2: 'UP' });
});

test('S38: a node that the balancer already takes for dead is drained at once', async () => {
  const site = await lab.site({ name: 's38', nodes: 3 });
  await site.deployed('good-1');
  await kill(site, 'web2');

  const run = await site.deploy('good-2', '--json');
  expect(run.exit, run.output).toBe(0);
  for (const { step, tookMs } of eventsOfType(run, 'step-done'))
    if (step.kind === 'drain' && step.nodes.includes('web2')) expect(tookMs).toBeLessThan(12_000);
  expect(await site.rotation()).toEqual({ web1: 'UP', web2: 'UP', web3: 'UP' });
  expect((await site.ask(site.node('web2'), '/'))?.body).toContain('version good-2');
});

test('S40: a node that the balancer does not know is an error, and nothing is drained', async () => {
  const site = await lab.site({ name: 's40', nodes: 3 });
  const first = await site.deployed('good-1');
  const nodes = site.nodes.map(({ name, address }) => ({ name: name === 'web3' ? 'web9' : name, address }));
  await site.configure({ nodes });
  const told = await site.balancer!.told();

  const refused = await site.deploy('good-2');
  expect(refused.exit).toBe(2);
  expect(refused.output).toMatch(/lb1.*no server.*web9/);
  expect(await site.balancer!.told()).toEqual(told);
  expect(await site.served()).toEqual({ web1: first, web2: first, web3: first });
  expect(await site.locked()).toEqual([]);
});

test('S41: a node that an operator took out gets the release, stays out, and is reported', async () => {
  const site = await lab.site({ name: 's41', nodes: 4 });
  await site.deployed('good-1');
  await site.balancer!.command('set server web/web2 state maint');

  const run = await site.deploy('good-2');
  expect(run.exit, run.output).toBe(0);
  expect(await site.rotation()).toEqual({ web1: 'UP', web2: 'MAINT', web3: 'UP', web4: 'UP' });
  expect(run.output).toMatch(/web2 was taken out of rotation by an operator/);
  const release = await site.release();
  expect(await site.served()).toMatchObject({ web2: release });
});

test('S43: of two nodes the dead one goes first, and the good one is never drained while it is alone', async () => {
  const site = await lab.site({ name: 's43', nodes: 2, settings: { servingMin: 1 } });
  await site.deployed('good-1');
  await kill(site, 'web2');

  const rotation = watchRotation(site.balancer!);
  const run = await site.deploy('good-2', '--json');
  const watched = await rotation.stop();
  expect(run.exit, run.output).toBe(0);
  expect(nodesOfSteps(run, 'activate')).toEqual([['web2'], ['web1']]);
  expect(watched.fewestUp).toBe(1);
  expect(await site.rotation()).toEqual({ web1: 'UP', web2: 'UP' });
});

test('S43: where the dead one cannot be mended, the good one is not touched', async () => {
  const site = await lab.site({ name: 's43-refused', nodes: 2, settings: { servingMin: 1 } });
  const first = await site.deployed('good-1');
  await site.balancer!.command('set server web/web2 state maint');
  const refused = await site.deploy('good-2');
  expect(refused.exit).toBe(2);
  expect(refused.output).toMatch(/servingMin is 1/);
  expect(await site.served()).toEqual({ web1: first, web2: first });
});

test.for([
  { policy: 'halt', exit: 3, versions: ['good-2', 'good-2', 'good-2', 'good-1', 'good-1'], web3: 'MAINT' },
  {
    policy: 'rollback-batch',
    exit: 3,
    versions: ['good-2', 'good-2', 'good-1', 'good-1', 'good-1'],
    web3: 'UP',
  },
  { policy: 'rollback', exit: 1, versions: ['good-1', 'good-1', 'good-1', 'good-1', 'good-1'], web3: 'UP' },
] as const)(
  'S45: a check that fails in batch 3 of 5 leads to what $policy says',
  async ({ policy, exit, versions, web3 }) => {
    const site = await lab.site({ name: `s45-${policy}`, nodes: 5 });
    await site.configure({ onFailure: policy, checks: site.checks({ timeout: '5s' }) });
    await site.setEnv(site.node('web3'), { FAILS: 'good-2' });
    await site.deployed('good-1');

    const run = await site.deploy('good-2', '--json');
    expect(run.exit, run.output).toBe(exit);
    expect(nodesOfSteps(run, 'check').slice(0, 3)).toEqual([['web1'], ['web2'], ['web3']]);
    const answers = await Promise.all(site.nodes.map(async (node) => (await site.ask(node, '/'))?.body));
    expect(answers.map((body) => /version (\S+)/.exec(body ?? '')?.[1])).toEqual(versions);
    expect(await site.rotation()).toEqual({ web1: 'UP', web2: 'UP', web3, web4: 'UP', web5: 'UP' });
    expect(await site.locked()).toEqual([]);
    // A mixed fleet is shown as what it is.
    const live = await site.live();
    const report = eventsOfType(run, 'run-ended')[0]!.report;
    expect(Object.fromEntries(report.nodes!.map(({ name, release }) => [name, release]))).toEqual(live);
    const status = await site.sluice('status', 'production');
    for (const release of new Set(Object.values(live))) expect(status.output).toContain(release);
  },
);

test('S54: ten nodes and [1, 30%, 100%] give batches of 1, 3 and 6; a part is at least one node', async () => {
  const site = await lab.site({ name: 's54', nodes: 10, settings: { servingMin: 1 } });
  await site.configure({ servingMin: 1, strategy: 'all-at-once' });
  await site.deployed('good-1');
  await site.configure({ servingMin: 1, strategy: { name: 'rolling', batch: [1, '30%', '100%'] } });
  const run = await site.deploy('good-2', '--json');
  expect(run.exit, run.output).toBe(0);
  for (const kind of ['drain', 'activate', 'check', 'enable'])
    expect(nodesOfSteps(run, kind).map(({ length }) => length)).toEqual([1, 3, 6]);
  const small = await site.deploy('good-3', '--json', '--batch', '1%');
  expect(nodesOfSteps(small, 'activate').map(({ length }) => length)).toEqual(Array(10).fill(1));
});

/** Ends the application of a node, and waits until the balancer has noticed. */
async function kill(site: Awaited<ReturnType<Lab['site']>>, name: string): Promise<void> {
  await onNode(lab, site.node(name), `kill -9 $(cat /srv/${site.name}/shared/tmp/pid)`);
  await expect.poll(async () => (await site.rotation())[name], patience).toBe('DOWN');
}
