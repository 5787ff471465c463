import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Lab, startLab } from '../lab/lab.ts';
import { passingVcl, type RunningVarnish, startVarnish } from '../lab/varnish.ts';
import { clients } from '../lab/watch.ts';

const requestsMin = 50_000;

let lab: Lab;
let varnish: RunningVarnish;
beforeAll(async () => {
  lab = await startLab({ nodes: 3 });
});
afterAll(async () => {
  await varnish?.stop();
  await lab?.stop();
});

test('no client of Varnish sees an error during a rolling deploy and the rollback after it', async () => {
  const site = await lab.site({ name: 'varnish', nodes: 3, settings: { servingMin: 2 } });
  const folder = join(lab.folder, 'varnish');
  await mkdir(folder);
  const backends = site.nodes.map(({ name, address }) => ({ name, address, port: site.port! }));
  varnish = await startVarnish(folder, { boot: passingVcl(backends) });
  const { port, secretFile, instance } = varnish;
  await site.configure({
    balancers: { lb1: { kind: 'varnish', members: [{ cli: `127.0.0.1:${port}`, secretFile, instance }] } },
  });
  await site.deployed('good-1');

  const traffic = await clients(varnish, { rapid: 8, perSecond: 1500, slowMs: 1500 });
  // Slow requests are in flight on every node before the first one is drained.
  await sleep(1000);
  const deploy = await site.deploy('good-2');
  const versions = await Promise.all(site.nodes.map(async (node) => (await site.ask(node, '/'))?.body));
  const rollback = await site.rollback();
  await traffic.reach(requestsMin);
  const report = await traffic.stop();
  console.log(
    `${report.requests} requests (${report.slowRequests} slow) in ${report.tookMs} ms, ${report.failed} failed`,
  );
  const counters = await varnish.counters();

  expect(deploy.exit, deploy.output).toBe(0);
  expect(rollback.exit, rollback.output).toBe(0);
  for (const body of versions) expect(body).toContain('version good-2');
  expect((await site.ask(site.node('web3'), '/'))?.body).toContain('version good-1');
  expect(report).toMatchObject({ failed: 0, failures: [], truncated: 0, late: 0 });
  expect(report.requests).toBeGreaterThanOrEqual(requestsMin);
  expect(report.slowInFlightMin).toBeGreaterThan(0);
  expect(await varnish.admin('backend.list')).not.toContain(' sick ');
  // Nor did Varnish have to try a request again, but where a backend went sick between its choice and its use.
  expect(sumOf(counters, 'fail')).toBe(0);
  expect(counters['MAIN.fetch_failed']).toBe(sumOf(counters, 'unhealthy'));
});

/** Of all backends. */
const sumOf = (counters: Readonly<Record<string, number>>, name: 'req' | 'fail' | 'unhealthy'): number =>
  Object.entries(counters)
    .filter(([counter]) => counter.startsWith('VBE.') && counter.endsWith(`.${name}`))
    .reduce((sum, [, value]) => sum + value, 0);
