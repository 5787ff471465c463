import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventsOfType } from '../lab/events.ts';
import { ask, type RunningHaproxy, startHaproxy } from '../lab/haproxy.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { freePort } from '../lab/port.ts';
import type { LabSite } from '../lab/site.ts';
import { clients } from '../lab/watch.ts';

let lab: Lab;
let site: LabSite;
let haproxy: RunningHaproxy;

/** How HAProxy checks: the first time long after a node is ready, and it takes two good checks until it is sure of one. */
const checks = { interMs: 4000, rise: 1, fall: 2 };

beforeAll(async () => {
  lab = await startLab({ nodes: 2 });
  site = await lab.site({ name: 'sticky', nodes: 2 });
  const dir = join(lab.folder, 'haproxy');
  await mkdir(dir);
  const [api, master] = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`];
  haproxy = await startHaproxy({
    dir,
    socket: join(dir, 'api.sock'),
    master,
    global: [`stats socket ipv4@${api} level admin`],
    frontendPort: await freePort(),
    defaults: ['retries 0', 'no option redispatch', 'option idle-close-on-response'],
    backends: [
      {
        name: 'web',
        lines: [
          'option httpchk GET /health',
          'cookie STICKY insert indirect nocache',
          `default-server check inter ${checks.interMs}ms rise ${checks.rise} fall ${checks.fall}`,
        ],
        servers: ['web1', 'web2'].map((name) => ({
          name,
          address: site.node(name).address,
          port: site.port!,
          options: `cookie ${name}`,
        })),
      },
    ],
  });
  await site.configure({
    balancers: {
      lb1: {
        kind: 'haproxy',
        // Through SSH, as if it ran on that machine.
        host: site.node('web1').address,
        socket: api,
        master,
        backend: 'web',
      },
    },
    servingMin: 1,
    drain: { timeout: '12s' },
  });
  await site.deployed('good-1');
});
afterAll(async () => {
  await haproxy?.stop();
  await lab?.stop();
});

type Row = Readonly<Record<string, string>>;

async function servers(): Promise<Readonly<Record<string, Row>>> {
  const [header = '', ...rows] = (await ask(haproxy.socket, 'show stat web 4 -1')).trim().split('\n');
  const columns = header.replace('# ', '').split(',');
  const cells = rows.map((row) => row.split(','));
  return Object.fromEntries(
    cells.map((row) => [row[1]!, Object.fromEntries(columns.map((column, i) => [column, row[i] ?? '']))]),
  );
}

/** Reads HAProxy all the time until it is stopped. */
function watch(look: (now: Readonly<Record<string, Row>>) => void) {
  let isOver = false;
  const watching = (async () => {
    while (!isOver) {
      look(await servers());
      await sleep(20);
    }
  })();
  return async () => {
    isOver = true;
    await watching;
  };
}

/** A visitor with a session: keeps the cookie, and asks again as soon as there is an answer. */
function visitor(isDraining: (server: string) => boolean) {
  const failures: string[] = [];
  const pinned: string[] = [];
  let servedWhileDraining = 0;
  let isOver = false;
  const visiting = (async () => {
    while (!isOver) {
      const own = pinned.at(-1);
      const was = own !== undefined && isDraining(own);
      const headers: Record<string, string> = own === undefined ? {} : { cookie: `STICKY=${own}` };
      const answer = await fetch(`${haproxy.url}/slow?ms=200`, { headers });
      if (answer.status !== 200) failures.push(String(answer.status));
      await answer.text().catch((error: unknown) => failures.push(String(error)));
      const moved = /STICKY=(\w+)/.exec(answer.headers.get('set-cookie') ?? '')?.[1];
      if (moved !== undefined) pinned.push(moved);
      else if (was && isDraining(own)) servedWhileDraining += 1;
    }
  })().catch((error: unknown) => failures.push(String(error)));
  return async () => {
    isOver = true;
    await visiting;
    return { failures, pinned, servedWhileDraining };
  };
}

test('visitors with sessions stay on a node while it drains softly, and move on without an error when it leaves', async () => {
  let now: Readonly<Record<string, Row>> = await servers();
  const stop = watch((seen) => {
    now = seen;
  });
  const leave = [1, 2, 3, 4].map(() => visitor((server) => now[server]!.status!.startsWith('DRAIN')));
  await sleep(500);
  const run = await site.deploy('good-2');
  await sleep(500);
  const visits = await Promise.all(leave.map((end) => end()));
  await stop();

  expect(run.exit, run.output).toBe(0);
  expect(visits.flatMap(({ failures }) => failures)).toEqual([]);
  // Both nodes left once, and nobody stayed anywhere for the whole time.
  for (const { pinned } of visits) expect(pinned.length).toBeGreaterThan(1);
  expect(Math.min(...visits.map(({ servedWhileDraining }) => servedWhileDraining))).toBeGreaterThan(3);
  const drains = eventsOfType(run, 'step-done').filter(({ step }) => step.kind === 'drain');
  // They never end by themselves: half the time is for those that do.
  for (const { tookMs } of drains) expect(tookMs).toBeGreaterThanOrEqual(6000);
});

test('no request fails at a node that is ready and was not checked by HAProxy yet', async () => {
  const traffic = await clients(haproxy, { workers: 6, slow: 0 });
  const requests = { before: 0, unchecked: 0 };
  const stop = watch((now) => {
    for (const { status = '', check_health: health, stot } of Object.values(now)) {
      if (status === 'MAINT') requests.before = Number(stot);
      // HAProxy sends it requests, and has it at what it takes on trust.
      else if (status.startsWith('UP') && Number(health) === checks.rise)
        requests.unchecked = Math.max(requests.unchecked, Number(stot) - requests.before);
    }
  });
  await sleep(500);
  const run = await site.deploy('good-3');
  const report = await traffic.stop();
  await stop();

  expect(run.exit, run.output).toBe(0);
  expect(report).toMatchObject({ failed: 0, failures: [], truncated: 0 });
  expect(requests.unchecked).toBeGreaterThan(10);
});
