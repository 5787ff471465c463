import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Traffic, TrafficReport } from '../../../src/sandbox/traffic.ts';
import { startTrafficProcess } from '../../../src/sandbox/traffic-process.ts';
import { answerEnd } from '../application.ts';
import type { CliResult } from '../cli.ts';
import { type Lab, startLab } from '../lab.ts';
import type { LabSite } from '../site.ts';
import { directorKeys, makeNetwork, network, onDirector, through } from './network.ts';

const port = 8080;
const services = Object.values(network.virtual).map((address) => `${address}:${port}`);
/** Through both together, in one run. */
const requestsMin = 50_000;
/** The director has one processor, and that is a process among others. */
const runTimeoutMs = 240_000;
const timeout = runTimeoutMs + 120_000;

let lab: Lab;
let site: LabSite;
beforeAll(async () => {
  await makeNetwork(['lb1']);
  const places = Object.entries(network.real).map(([name, address]) => ({ address, through: through(name) }));
  lab = await startLab({ nodes: places.length, places });
  await appendFile(join(lab.home, '.ssh/known_hosts'), await directorKeys());
  const key = await readFile(join(lab.home, '.ssh/id_ed25519.pub'), 'utf8');
  await onDirector('lb1', `echo '${key.trim()}' > /run/authorized_keys; ${fill()}`);
  site = await lab.site({
    name: 'shop',
    nodes: places.length,
    kind: 'files',
    timeoutMs: runTimeoutMs,
    settings: {
      balancers: {
        lvs: {
          kind: 'ipvs',
          hosts: { address: network.directors.lb1, user: 'root', port: 22 },
          services,
          weight: 100,
        },
      },
      activate: [['bin/restart']],
      checks: [
        { path: '/health', port, expect: 'release {{release}} revision {{revision}}', interval: '100ms' },
      ],
      strategy: 'all-at-once',
      servingMin: 0,
    },
  });
  // The virtual address of direct routing is a node's own.
  for (const node of site.nodes) await site.setEnv(node, { HOST: '0.0.0.0', PORT: String(port) });
  await site.deployed('good-1');
  await site.configure({ strategy: 'rolling', servingMin: 1, drain: { timeout: '60s' } });
}, timeout);
afterAll(() => lab?.stop());

/** The table: the same servers by NAT and by direct routing. */
function fill(): string {
  const [nat, direct] = services;
  const servers = Object.values(network.real).flatMap((address) => [
    `-a -t ${nat} -r ${address}:${port} -m -w 100`,
    `-a -t ${direct} -r ${address}:${port} -g -w 100`,
  ]);
  const lines = [...services.map((service) => `-A -t ${service} -s wrr`), ...servers];
  return `ipvsadm -C; echo '${lines.join('\n')}' | ipvsadm -R`;
}

const table = (): Promise<string> => onDirector('lb1', 'ipvsadm -S -n');

/**
 * IPVS balances connections, and a node is drained once it has none. So clients close theirs after some questions, as
 * browsers do; those that are slow, or send something, have one for each question.
 */
const clientsOf = (service: string): Promise<Traffic> =>
  startTrafficProcess({
    url: `http://${service}`,
    workers: 1,
    keepAlive: 'never',
    paths: ['/', '/health'],
    pauseMs: 50,
    lateMs: 5000,
    // The director forwards some 1000 requests in a second, and has the deploy's own work to do.
    rapid: { path: '/', workers: 1, perConnection: 25, perSecond: 400 },
    slow: { path: '/slow?ms=3000', workers: 4, lateMs: 8000 },
    uploads: { path: '/upload', workers: 2, bytes: 200_000, overMs: 2000 },
    bodyEnd: answerEnd,
  });

/** Does `work` under traffic through both services, which goes on until there were enough requests. */
async function underTraffic(
  work: () => Promise<CliResult>,
): Promise<{ readonly run: CliResult; readonly reports: readonly TrafficReport[] }> {
  const traffic = await Promise.all(services.map(clientsOf));
  await sleep(3000);
  const run = await work();
  const reports = await Promise.all(
    traffic.map(async (clients) => {
      await clients.reach(requestsMin / services.length);
      return clients.stop();
    }),
  );
  for (const { requests, slowRequests, uploads, failed, tookMs } of reports)
    console.log(
      `${requests} requests (${slowRequests} slow, ${uploads} uploads) in ${tookMs} ms, ${failed} failed; sluice took ${Math.round(run.tookMs)} ms`,
    );
  return { run, reports };
}

function expectNothingSpilled(reports: readonly TrafficReport[]): void {
  for (const report of reports) {
    expect(report.failures).toEqual([]);
    expect(report).toMatchObject({ failed: 0, truncated: 0, late: 0, statuses: { 200: report.requests } });
    expect(report.requests).toBeGreaterThanOrEqual(requestsMin / services.length);
    expect(report.slowInFlightMin).toBeGreaterThanOrEqual(1);
    expect(report.uploads).toBeGreaterThan(2);
  }
}

test('a rolling deploy by NAT and by direct routing fails no request', { timeout }, async () => {
  const before = await table();
  const { run, reports } = await underTraffic(() => site.deploy('good-2'));
  expect(run.exit, run.output).toBe(0);
  expectNothingSpilled(reports);
  expect(await table()).toBe(before);
});

test('a rollback by NAT and by direct routing fails no request', { timeout }, async () => {
  const second = await site.release();
  const { run, reports } = await underTraffic(() => site.rollback());
  expect(run.exit, run.output).toBe(0);
  expectNothingSpilled(reports);
  expect(await site.release()).not.toBe(second);
});

test('a node that dies under traffic shows in failed requests', { timeout }, async () => {
  const [traffic] = await Promise.all(services.slice(0, 1).map(clientsOf));
  await traffic!.reach(500);
  await site.nodes[0]!.asRoot(`kill -KILL $(cat /srv/shop/shared/tmp/pid)`);
  await sleep(1000);
  expect((await traffic!.stop()).failed).toBeGreaterThan(0);
});
