import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventsOfType, nodesOfSteps } from '../lab/events.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { clients, watchRotation } from '../lab/watch.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 4 });
});
afterAll(() => lab?.stop());

test('S15: a rollback brings the release before back on every node', async () => {
  const site = await lab.site({ name: 's15', nodes: 3 });
  const first = await site.deployed('good-1');
  await site.deployed('good-2');

  const { exit, output } = await site.rollback();
  expect(exit, output).toBe(0);
  expect(await site.live()).toEqual({ web1: first, web2: first, web3: first });
  expect(await site.served()).toEqual({ web1: first, web2: first, web3: first });
  for (const node of site.nodes) {
    expect((await site.log(node)).at(-1)).toMatch(new RegExp(`rolled back to release ${first}$`));
    expect((await site.ask(node, '/'))?.body).toContain('version good-1');
  }
});

test('S15: the release before is the one that was live before, even if its revision is the newer one', async () => {
  const site = await lab.site({ name: 's15-back-and-forth', nodes: 2, kind: 'files' });
  await site.deployed('good-1');
  const newer = await site.deployed('good-2');
  await site.deployed('good-1');
  expect(await site.rollback()).toMatchObject({ exit: 0 });
  expect(await site.live()).toEqual({ web1: newer, web2: newer });
});

test('S16: a rollback brings a named release back on every node', async () => {
  const site = await lab.site({ name: 's16', nodes: 3 });
  const first = await site.deployed('good-1');
  await site.deployed('good-2');
  await site.deployed('good-3');
  expect(await site.rollback('--to', first)).toMatchObject({ exit: 0 });
  expect(await site.served()).toEqual({ web1: first, web2: first, web3: first });
});

test('S17: with one release there is nothing to roll back to, and it stays', async () => {
  const site = await lab.site({ name: 's17', nodes: 2 });
  const only = await site.deployed('good-1');
  const refused = await site.rollback();
  expect(refused.exit).toBe(2);
  expect(refused.output).toMatch(/nothing to roll back to/i);
  expect(await site.served()).toEqual({ web1: only, web2: only });
  for (const node of site.nodes) expect(await site.releases(node)).toEqual([only]);
});

test('S18: a release that one node lacks is refused before any node is touched', async () => {
  const site = await lab.site({ name: 's18', nodes: 3 });
  const first = await site.deployed('good-1');
  const second = await site.deployed('good-2');
  await rm(site.path(site.node('web2'), 'releases', first), { recursive: true });

  for (const to of [first, '20010101000000']) {
    const refused = await site.rollback('--to', to, '--json');
    expect(refused.exit).toBe(2);
    expect(nodesOfSteps(refused, 'drain')).toEqual([]);
    const [ended] = eventsOfType(refused, 'run-ended');
    expect(ended?.report.failure).toMatchObject({
      code: 'RELEASE_ABSENT',
      message: expect.stringContaining('web2'),
    });
    if (to === first) expect(ended?.report.failure?.message).not.toMatch(/web[13]/);
  }
  expect(await site.live()).toEqual({ web1: second, web2: second, web3: second });
  expect(await site.locked()).toEqual([]);
});

test('S19: a release that was killed half-made is never rolled back to', async () => {
  const site = await lab.site({ name: 's19', nodes: 2 });
  const a = await site.deployed('good-1');
  await site.configure({ hooks: { 'after:prepare': [{ run: 'sleep 6' }] } });
  const killed = site.startDeploy('good-2', '--json');
  await killed.printed(/"step-started".*"kind":"hook"/);
  killed.signal('SIGKILL');
  await killed.ended;
  await site.configure({});
  expect(await site.sluice('unlock', 'production', '--yes', '--reason', 'it was killed')).toMatchObject({
    exit: 0,
  });

  // The hook goes on on its nodes, and is waited for.
  const c = await site.deployed('good-3');
  expect(c > a).toBe(true);
  expect(await site.rollback()).toMatchObject({ exit: 0 });
  expect(await site.served()).toEqual({ web1: a, web2: a });
});

test('S24: a rollback under traffic fails no request, and goes through drain, check and enable', async () => {
  const site = await lab.site({ name: 's24', nodes: 4 });
  const first = await site.deployed('good-1');
  await site.deployed('good-2');

  const traffic = await clients(site.balancer!);
  const rotation = watchRotation(site.balancer!);
  const run = await site.rollback('--json');
  const [report, watched] = [await traffic.stop(), await rotation.stop()];
  expect(run.exit, run.output).toBe(0);
  expect(report).toMatchObject({ failed: 0, failures: [] });
  expect(report.requests).toBeGreaterThan(500);
  expect(watched.fewestUp).toBe(3);
  for (const kind of ['drain', 'activate', 'check', 'enable'])
    expect(nodesOfSteps(run, kind)).toEqual([['web1'], ['web2'], ['web3'], ['web4']]);
  expect(await site.served()).toEqual({ web1: first, web2: first, web3: first, web4: first });
});
