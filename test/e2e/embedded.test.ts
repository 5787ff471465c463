import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { type RunningBalancer, startBalancer } from '../../src/sandbox/balancer.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import type { LabSite } from '../lab/site.ts';
import { clients } from '../lab/watch.ts';

const token = 'open sesame';
let lab: Lab;
let site: LabSite;
let front: RunningBalancer;
beforeAll(async () => {
  lab = await startLab({ nodes: 2 });
  site = await lab.site({ name: 'embedded', nodes: 2 });
  const pools = ['blue', 'green'];
  const port = site.port!;
  front = await startBalancer({
    token: new Secret(token),
    servers: site.nodes.map(({ name, address }, i) => ({ name, host: address, port, pool: pools[i]! })),
    check: { path: '/health', intervalMs: 100, rise: 1, fall: 10 },
    previewPort: 0,
  });
  Object.assign(site.usual, {
    nodes: site.nodes.map(({ name, address }, i) => ({ name, address, pool: pools[i] })),
    balancers: { edge: { kind: 'embedded', url: front.adminUrl, token } },
    preview: { urls: [front.previewUrl] },
    drain: { timeout: '15s', webSockets: '1s' },
    strategy: { name: 'blue-green', bake: '2s' },
    servingMin: 1,
  });
  await site.configure({});
  for (const ref of ['good-1', 'good-2']) expect(await site.deploy(ref)).toMatchObject({ exit: 0 });
});
afterAll(async () => {
  await front?.close();
  await lab?.stop();
});

const shownAt = async (url: string | null): Promise<string | undefined> =>
  /release (\d+)/.exec(await (await fetch(`${url}/health`)).text())?.[1];

test('behind the embedded balancer a pool is previewed and flipped to, and only WebSockets are ended', async () => {
  const before = await shownAt(front.url);
  const traffic = await clients(front, { workers: 2, slow: 2, slowMs: 1500, uploads: 2, webSockets: 4 });
  await sleep(500);
  const run = await site.deploy('good-3', '--verbose');
  const report = await traffic.stop();
  expect(run.exit, run.output).toBe(0);
  expect(run.output).toContain('preview done');
  expect(run.output).toMatch(/WebSockets are closed, their time is over: 4 at /);
  expect(report).toMatchObject({ failed: 0, failures: [], webSockets: { opened: 8, closed: 4 } });
  expect(await shownAt(front.previewUrl)).toBe(before);
  expect(await shownAt(front.url)).not.toBe(before);
});

test('a preview that shows another release keeps the pool from getting traffic', async () => {
  const before = await shownAt(front.url);
  await site.configure({ preview: { urls: [front.url] }, checks: site.checks({ timeout: '8s' }) });
  const run = await site.deploy('good-2');
  expect(run.exit, run.output).toBe(1);
  expect(run.output).toContain('The preview does not show the new release');
  expect(await shownAt(front.url)).toBe(before);
});
