import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TrafficReport } from '../../src/sandbox/traffic.ts';
import type { CliResult } from '../lab/cli.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { createRepository } from '../lab/repository.ts';
import type { LabSite } from '../lab/site.ts';
import { clients, watchRotation } from '../lab/watch.ts';

const requestsMin = 100_000;
const timeout = 600_000;

let lab: Lab;
let site: LabSite;
let first: string;
beforeAll(async () => {
  lab = await startLab({ nodes: 8 });
  const versions = ['v1', 'v2', 'v3'].map((tag) => ({ tag, bootMs: 1000 }));
  const repository = await createRepository(join(lab.folder, 'zero-repository'), versions);
  site = await lab.site({ name: 'zero', nodes: 8, repository, settings: { servingMin: 6 } });
  await site.configure({ strategy: 'all-at-once', servingMin: 0 });
  first = await site.deployed('v1');
  await site.configure({ drain: { timeout: '30s' } });
});
afterAll(() => lab?.stop());

/** Does `work` under traffic that goes on until there were enough requests. */
async function underTraffic(
  work: () => Promise<CliResult>,
): Promise<{ run: CliResult; report: TrafficReport; fewestUp: number }> {
  const balancer = site.balancer!;
  const traffic = await clients(balancer, {
    workers: 4,
    pauseMs: 2,
    rapid: 12,
    perSecond: 2000,
    slow: 12,
    slowMs: 3000,
  });
  const rotation = watchRotation(balancer);
  await sleep(4000);
  const run = await work();
  await traffic.reach(requestsMin);
  const [report, { fewestUp }] = [await traffic.stop(), await rotation.stop()];
  console.log(
    `${report.requests} requests (${report.slowRequests} slow) in ${report.tookMs} ms, ${report.failed} failed`,
  );
  return { run, report, fewestUp };
}

function expectNothingSpilled(report: TrafficReport): void {
  expect(report.failures).toEqual([]);
  expect(report).toMatchObject({ failed: 0, truncated: 0, late: 0, statuses: { 200: report.requests } });
  expect(report.requests).toBeGreaterThanOrEqual(requestsMin);
  expect(report.slowInFlightMin).toBeGreaterThanOrEqual(4);
}

test('a rolling deploy fails none of 100,000 requests', { timeout }, async () => {
  const { run, report, fewestUp } = await underTraffic(() => site.deploy('v2'));
  expect(run.exit, run.output).toBe(0);
  expectNothingSpilled(report);
  expect(fewestUp).toBe(7);
  expect(Object.values(await site.served())).toEqual(Array(8).fill(await site.release()));
});

test('a deploy that fails on the fifth node and puts everything back fails none of 100,000 requests', {
  timeout,
}, async () => {
  const before = await site.release();
  await site.setEnv(site.node('web5'), { FAILS: 'v3' });
  await site.configure({ drain: { timeout: '30s' }, checks: site.checks({ timeout: '12s' }) });
  const { run, report, fewestUp } = await underTraffic(() => site.deploy('v3'));
  expect(run.exit, run.output).toBe(1);
  expectNothingSpilled(report);
  expect(fewestUp).toBeGreaterThanOrEqual(6);
  expect(Object.values(await site.served())).toEqual(Array(8).fill(before));
});

test('a rollback fails none of 100,000 requests', { timeout }, async () => {
  const { run, report, fewestUp } = await underTraffic(() => site.rollback());
  expect(run.exit, run.output).toBe(0);
  expectNothingSpilled(report);
  expect(fewestUp).toBe(7);
  expect(Object.values(await site.served())).toEqual(Array(8).fill(first));
});
