import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventsOfType, nodesOfSteps } from '../lab/events.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { onNode } from '../lab/ssh.ts';
import { watchRotation } from '../lab/watch.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 6 });
});
afterAll(() => lab?.stop());

test('S44: a release that fails on the first node serves nobody there and touches no other', async () => {
  const site = await lab.site({ name: 's44', nodes: 6 });
  const first = await site.deployed('good-1');
  await site.configure({ checks: site.checks({ timeout: '8s' }) });

  const rotation = watchRotation(site.balancer!);
  const run = await site.deploy('broken', '--json');
  const watched = await rotation.stop();
  expect(run.exit, run.output).toBe(1);
  expect(watched).toEqual({ fewestUp: 5, left: ['web1'] });
  expect(nodesOfSteps(run, 'activate')).toEqual([['web1'], ['web1']]);
  expect(Object.values(await site.served())).toEqual(Array(6).fill(first));
  expect(await site.live()).toEqual(await site.served());
  expect(Object.values(await site.rotation())).toEqual(Array(6).fill('UP'));
  const failure = eventsOfType(run, 'step-failed')[0]?.failure.message;
  expect(failure).toMatch(/web1.*500 .*no database here/);
});

test('S46: a slow start within the time of the check passes', async () => {
  const site = await lab.site({ name: 's46-passes', nodes: 1, settings: { servingMin: 0 } });
  await site.configure({ servingMin: 0, checks: site.checks({ timeout: '20s' }) });
  await site.deployed('good-1');
  const run = await site.deploy('slowstart');
  expect(run.exit, run.output).toBe(0);
  expect(run.tookMs).toBeGreaterThan(8000);
  expect((await site.ask(site.node('web1'), '/'))?.body).toContain('version slowstart');
});

test('S46: a slow start beyond the time of the check is a timeout, not a failed check', async () => {
  const site = await lab.site({ name: 's46-fails', nodes: 1, settings: { servingMin: 0 } });
  await site.configure({ servingMin: 0, checks: site.checks({ timeout: '6s' }) });
  const first = await site.deployed('good-1');
  const run = await site.deploy('slowstart', '--json');
  expect(run.exit, run.output).toBe(1);
  const [failed] = eventsOfType(run, 'step-failed');
  expect(failed?.failure).toMatchObject({
    code: 'CHECK_TIMEOUT',
    message: expect.stringMatching(/timeout of 6000 ms/),
  });
  expect(failed?.failure.message).not.toMatch(/unhealthy/);
  expect(await site.served()).toEqual({ web1: first });
});

test('S49: a node that still serves the old release fails its check until its cache is reset', async () => {
  const site = await lab.site({ name: 's49', nodes: 1, settings: { servingMin: 0 } });
  const node = site.node('web1');
  const caching = { servingMin: 0, activate: [], checks: [] };
  await site.configure(caching);
  await site.write(node, 'shared/caching.cjs', cachingProgram);
  await onNode(
    lab,
    node,
    'cd /srv/s49/shared && { setsid /opt/node caching.cjs >log/app.log 2>&1 </dev/null & }',
  );
  const first = await site.deployed('good-1');

  const checks = site.checks({ timeout: '6s' });
  await site.configure({ ...caching, checks });
  const failed = await site.deploy('good-2', '--json');
  expect(failed.exit, failed.output).toBe(1);
  const [event] = eventsOfType(failed, 'step-failed');
  const newer = eventsOfType(failed, 'planned')[0]!.plan.target.release.id;
  expect(event?.failure.code).toBe('WRONG_RELEASE');
  expect(event?.failure.message).toMatch(new RegExp(`expected to show .*${newer}.*answered .*${first}`));
  expect(await site.served()).toEqual({ web1: first });
  expect(await site.current(node)).toBe(first);

  await site.configure({ ...caching, checks, activate: ['kill -HUP $(cat /srv/s49/shared/tmp/pid)'] });
  const passed = await site.deploy('good-3');
  expect(passed.exit, passed.output).toBe(0);
  expect(await site.served()).toEqual(await site.live());
});

/** A server that keeps the first real path of `current` that it saw until it is told to forget it, as opcache does. */
const cachingProgram = `
const { readFileSync, realpathSync, writeFileSync } = require('node:fs');
const env = Object.fromEntries(readFileSync('.env', 'utf8').trim().split('\\n').map((line) => line.split('=')));
let cached = null;
process.on('SIGHUP', () => { cached = null; });
writeFileSync('tmp/pid', String(process.pid));
require('node:http').createServer((request, response) => {
  try { cached ??= realpathSync('/srv/s49/current'); } catch { return response.writeHead(503).end(); }
  const revision = readFileSync(cached + '/REVISION', 'utf8').trim();
  response.end('release ' + cached.split('/').pop() + ' revision ' + revision + '\\n');
}).listen(Number(env.PORT), env.HOST);
`;
