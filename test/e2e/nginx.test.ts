import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { serversIn } from '../../src/adapters/balancers/nginx-config.ts';
import { nodesOfSteps } from '../lab/events.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { type RunningNginx, startNginx } from '../lab/nginx.ts';
import { freePort } from '../lab/port.ts';
import type { LabSite } from '../lab/site.ts';
import { clients } from '../lab/watch.ts';

/** Of the application on every node: the first site of a lab has it. */
const appPort = 8080;

const keptAlive = 'proxy_http_version 1.1; proxy_set_header Connection "";';

let lab: Lab;
let folder: string;
/** Has the rotation, and is reloaded. */
let inner: RunningNginx;
/** Keeps the connections of clients, and is not. */
let outer: RunningNginx;
let site: LabSite;

beforeAll(async () => {
  folder = mkdtempSync('/run/sluice-nginx-');
  chmodSync(folder, 0o755);
  lab = await startLab({ nodes: 3 });
  const servers = Object.fromEntries(lab.nodes.map(({ name, address }) => [name, `${address}:${appPort}`]));
  inner = await startNginx({
    dir: join(folder, 'inner'),
    port: await freePort(),
    http: [
      'keepalive_timeout 0;',
      `server { listen PORT; listen unix:${folder}/shop.sock; location / { proxy_pass http://shop; proxy_next_upstream off; ${keptAlive} } }`,
    ],
    site: `upstream shop {\n  keepalive 16;\n${Object.values(servers)
      .map((server) => `  server ${server} weight=100 max_fails=0;\n`)
      .join('')}}\n`,
  });
  outer = await startNginx({
    dir: join(folder, 'outer'),
    port: await freePort(),
    http: [
      `server { listen PORT; location / { proxy_pass http://unix:${folder}/shop.sock; proxy_next_upstream off; proxy_set_header Host $http_host; } }`,
    ],
    site: '',
  });
  const { file, pid, command } = inner;
  site = await lab.site({
    name: 'nginx',
    nodes: 3,
    settings: {
      servingMin: 2,
      balancers: { lb1: { kind: 'nginx', file, pid, command, upstream: 'shop', servers } },
    },
  });
});
afterAll(async () => {
  await Promise.all([lab?.stop(), inner?.stop(), outer?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

/** Reads the file all the time: the fewest servers that were in rotation at once. */
function watchServers(): () => number {
  let fewestIn = Number.POSITIVE_INFINITY;
  const look = () => {
    const out = serversIn(inner.read()).filter(({ rotation }) => rotation === 'out');
    fewestIn = Math.min(fewestIn, lab.nodes.length - out.length);
  };
  const looking = setInterval(look, 20);
  return () => {
    clearInterval(looking);
    return fewestIn;
  };
}

const requestsMin = 50_000;

test('no client of nginx sees an error while its nodes are released one by one, and rolled back', async () => {
  const first = await site.deployed('good-1');
  const before = inner.read();
  const traffic = await clients(outer, { rapid: 8, perSecond: 1500, slowMs: 1500 });
  const watched = watchServers();
  // Slow requests of 1.5 s are in flight on every node before the first one is drained.
  await sleep(1000);
  const deploy = await site.deploy('good-2', '--json');
  const second = await site.release();
  const rollback = await site.rollback('--json');
  await traffic.reach(requestsMin);
  const report = await traffic.stop();

  expect(deploy.exit, deploy.output).toBe(0);
  expect(rollback.exit, rollback.output).toBe(0);
  expect(second).not.toBe(first);
  const names = lab.nodes.map(({ name }) => name);
  expect(await site.served()).toEqual(Object.fromEntries(names.map((name) => [name, first])));
  expect(report).toMatchObject({ failed: 0, failures: [], truncated: 0, late: 0 });
  expect(report.slowInFlightMin).toBeGreaterThan(0);
  expect(report.requests).toBeGreaterThanOrEqual(requestsMin);
  expect(watched()).toBe(2);
  for (const run of [deploy, rollback])
    expect(nodesOfSteps(run, 'drain')).toEqual(names.map((name) => [name]));
  expect(inner.read()).toBe(before);
});
