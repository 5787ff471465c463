import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TrafficReport } from '../../src/sandbox/traffic.ts';
import { type LabBalancer, startBalancer } from '../lab/balancer.ts';
import type { CliResult } from '../lab/cli.ts';
import { eventsOfType, nodesOfSteps } from '../lab/events.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import type { LabSite } from '../lab/site.ts';
import { clients } from '../lab/watch.ts';

/** Of each flow, at both balancers together. */
const requestsMin = 100_000;
const timeout = 600_000;

let lab: Lab;
let site: LabSite;
let balancers: readonly LabBalancer[] = [];
beforeAll(async () => {
  lab = await startLab({ nodes: 4 });
  site = await lab.site({ name: 'canary', nodes: 4, settings: { servingMin: 2 } });
  const servers = site.nodes.map(({ name, address }) => ({ name, address, port: site.port! }));
  balancers = [site.balancer!, await startBalancer(join(site.folder, 'second'), servers)];
  const both = Object.fromEntries(
    balancers.map(({ socket }, index) => [`lb${index + 1}`, { kind: 'haproxy', socket, backend: 'web' }]),
  );
  await site.configure({ balancers: both, strategy: 'all-at-once', servingMin: 0 });
  await site.deployed('good-1');
  await site.configure({ balancers: both, strategy });
});
afterAll(async () => {
  await balancers[1]?.stop();
  await lab?.stop();
});

const strategy = {
  name: 'canary',
  requestsMin: 100,
  steps: [
    { nodes: 1, weight: 20, bake: '3s' },
    { nodes: '50%', bake: '2s' },
  ],
};

interface Watched {
  readonly run: CliResult;
  readonly reports: readonly TrafficReport[];
}

/** Both processes have visitors of their own. */
async function underTraffic(work: () => Promise<CliResult>, flow: string): Promise<Watched> {
  const traffic = await Promise.all(
    balancers.map((balancer) => clients(balancer, { rapid: 12, workers: 2, slowMs: 1000 })),
  );
  await sleep(500);
  const run = await work();
  await Promise.all(traffic.map((one) => one.reach(requestsMin / balancers.length)));
  const reports = await Promise.all(traffic.map((one) => one.stop()));
  const requests = reports.reduce((all, report) => all + report.requests, 0);
  const failed = reports.reduce((all, report) => all + report.failed, 0);
  console.log(`${flow}: ${requests} requests in ${reports[0]!.tookMs} ms, ${failed} failed`);
  expect(requests).toBeGreaterThanOrEqual(requestsMin);
  return { run, reports };
}

const weights = () => Promise.all(balancers.map((balancer) => balancer.told()));
const asConfigured = Object.fromEntries(
  ['web1', 'web2', 'web3', 'web4'].map((name) => [name, '0 weight 100']),
);

test('a canary that is as good as the others passes twice, the others follow, and no request fails', {
  timeout,
}, async () => {
  const { run, reports } = await underTraffic(() => site.deploy('good-2', '--json'), 'a canary that passes');

  expect(run.exit, run.output).toBe(0);
  for (const report of reports) expect(report).toMatchObject({ failed: 0, failures: [] });
  expect(nodesOfSteps(run, 'hold')).toEqual([['web1'], ['web1', 'web2']]);
  const notes = eventsOfType(run, 'note').map(({ text }) => text);
  expect(
    notes.filter((text) => /^Hold canary [12] is passed\. The canary failed 0 of/.test(text)),
  ).toHaveLength(2);
  expect(await weights()).toEqual([asConfigured, asConfigured]);
  expect(Object.values(await site.served())).toEqual(Array(4).fill(await site.release()));
});

test('a release that errs on a fifth of its requests passes its checks, fails as a canary, and goes back by itself', {
  timeout,
}, async () => {
  const before = await site.release();
  const { run, reports } = await underTraffic(() => site.deploy('erring', '--json'), 'a canary that fails');

  expect(run.exit, run.output).toBe(1);
  expect(run.output).toMatch(/Hold canary 1 found the release worse\. The canary failed /);
  expect(await site.served()).toEqual({ web1: before, web2: before, web3: before, web4: before });
  expect(await weights()).toEqual([asConfigured, asConfigured]);
  // Nothing fails but what the canary itself answered while it was judged.
  expect(nodesOfSteps(run, 'activate')).toEqual([['web1'], ['web1']]);
  const spilled = balancers.flatMap((balancer) => balancer.spilled());
  expect(new Set(spilled.map(({ server, ending }) => `${server} ${ending}`))).toEqual(
    new Set(['web1 500 --']),
  );
  for (const { failed, statuses } of reports) expect(failed).toBe(statuses[500]);
});
