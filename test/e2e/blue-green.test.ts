import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { TrafficReport } from '../../src/sandbox/traffic.ts';
import type { CliResult } from '../lab/cli.ts';
import { ask, type RunningHaproxy, startHaproxy } from '../lab/haproxy.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { freePort } from '../lab/port.ts';
import { createRepository } from '../lab/repository.ts';
import type { LabSite, Settings } from '../lab/site.ts';
import { clients } from '../lab/watch.ts';

/** Of each flow, at both balancers together. */
const requestsMin = 100_000;
const timeout = 600_000;
const previewWord = 'show-me';
const pools = { blue: ['web1', 'web2'], green: ['web3', 'web4'] } as const;

let lab: Lab;
let site: LabSite;
let balancers: readonly Flippable[];

/** A real HAProxy with a backend for each pool, and the map that chooses among them. */
interface Flippable extends RunningHaproxy {
  readonly map: string;
  /** The backend that new requests go to, as the map in memory and the one on disk have it. */
  live(): Promise<readonly (string | undefined)[]>;
}

beforeAll(async () => {
  lab = await startLab({ nodes: 4 });
  const versions = [
    ...['v1', 'v2', 'v3', 'v4', 'v5', 'v6'].map((tag) => ({ tag, bootMs: 300 })),
    { tag: 'erring', errsAfter: 9 },
  ];
  const repository = await createRepository(join(lab.folder, 'pools-repository'), versions);
  site = await lab.site({ name: 'pools', nodes: 4, repository });
  balancers = await Promise.all(['lb1', 'lb2'].map(startFlippable));
  await site.configure(settings());
  // Each pool is renewed in its turn: at the end both are proved, and traffic is back where it began.
  for (const ref of ['v1', 'v2']) expect((await site.deploy(ref)).exit, ref).toBe(0);
}, timeout);
afterAll(async () => {
  await Promise.all(balancers?.map((balancer) => balancer.stop()) ?? []);
  await lab?.stop();
});
beforeEach(() => site.configure(settings()));

async function startFlippable(name: string): Promise<Flippable> {
  const dir = join(lab.folder, name);
  await mkdir(dir);
  const map = join(dir, 'live.map');
  await writeFile(map, '# which pool is live\nother entry\nactive pool_blue\n');
  const running = await startHaproxy({
    dir,
    socket: join(dir, 'socket'),
    frontendPort: await freePort(),
    defaults: ['retries 0', 'no option redispatch', 'timeout check 2s', 'timeout tunnel 1h'],
    frontend: [
      `acl preview req.hdr(x-preview) -m str ${previewWord}`,
      `acl blue-is-live str(active),map(${map}) -m str pool_blue`,
      'use_backend pool_green if preview blue-is-live',
      'use_backend pool_blue if preview',
      `use_backend %[str(active),map(${map})]`,
    ],
    backends: [
      { name: 'nowhere', servers: [] },
      ...Object.entries(pools).map(([pool, names]) => ({
        name: `pool_${pool}`,
        lines: [
          'balance roundrobin',
          'option httpchk GET /health',
          'default-server check inter 300ms fastinter 100ms rise 1 fall 3',
        ],
        servers: names.map((node) => ({ name: node, address: site.node(node).address, port: site.port! })),
      })),
    ],
  });
  const live = async () => {
    const entry = /value="([^"]*)"/.exec(await ask(running.socket, `get map ${map} active`))?.[1];
    return [entry, /^active (.*)$/m.exec(await readFile(map, 'utf8'))?.[1]];
  };
  return { ...running, map, live };
}

const settings = (more: Settings = {}): Settings => ({
  nodes: Object.entries(pools).flatMap(([pool, names]) =>
    names.map((name) => ({ name, address: site.node(name).address, pool })),
  ),
  balancers: Object.fromEntries(
    balancers.map(({ socket, map }, index) => [
      `lb${index + 1}`,
      {
        kind: 'haproxy',
        socket,
        backend: { blue: 'pool_blue', green: 'pool_green' },
        map: { file: map },
      },
    ]),
  ),
  preview: { urls: balancers.map(({ url }) => url), headers: { 'X-Preview': previewWord } },
  servingMin: 2,
  strategy: { name: 'blue-green', bake: '1s' },
  ...more,
});

const liveAt = async (): Promise<readonly (string | undefined)[]> => [
  ...new Set((await Promise.all(balancers.map((balancer) => balancer.live()))).flat()),
];

const other = (pool: string | undefined): string => (pool === 'pool_blue' ? 'pool_green' : 'pool_blue');

interface Watched {
  readonly run: CliResult;
  readonly reports: readonly TrafficReport[];
}

/**
 * Does `work` with clients of every kind at both balancers: rapid ones that keep their connections, some that do not,
 * slow answers, uploads that take seconds, and WebSockets.
 */
async function underTraffic(
  work: () => Promise<CliResult>,
  flow: string,
  requests = requestsMin,
): Promise<Watched> {
  const traffics = await Promise.all(
    balancers.map(({ url }) =>
      clients(
        { url },
        {
          rapid: 12,
          perSecond: 500,
          workers: 2,
          pauseMs: 10,
          slow: 4,
          uploads: 4,
          webSockets: 8,
          slowMs: 3000,
        },
      ),
    ),
  );
  await sleep(1000);
  const stop = () => Promise.all(traffics.map((traffic) => traffic.stop()));
  const run = await work().catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  await Promise.all(traffics.map((traffic) => traffic.reach(requests / balancers.length)));
  const reports = await stop();
  const sum = (of: (report: TrafficReport) => number) => reports.reduce((all, report) => all + of(report), 0);
  const tookMs = Math.max(...reports.map((report) => report.tookMs));
  console.log(
    `${flow}: ${sum(({ requests }) => requests)} requests (${sum(({ slowRequests }) => slowRequests)} slow, ${sum(({ uploads }) => uploads)} uploads) ` +
      `and ${sum(({ webSockets }) => webSockets.messages)} messages over WebSockets in ${tookMs} ms, ${sum(({ failed }) => failed)} failed`,
  );
  return { run, reports };
}

function expectNothingSpilled(reports: readonly TrafficReport[], atLeast = requestsMin): void {
  expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
  for (const report of reports) {
    expect(report).toMatchObject({ failed: 0, truncated: 0, late: 0, statuses: { 200: report.requests } });
    expect(report.webSockets).toMatchObject({ opened: 8, closed: 0 });
    expect(Math.min(report.slowRequests, report.uploads, report.webSockets.messages)).toBeGreaterThan(4);
  }
  expect(reports.reduce((all, { requests }) => all + requests, 0)).toBeGreaterThanOrEqual(atLeast);
}

/** How long balancers differed in each flip so far. */
const differencesMs: number[] = [];

/** The longest time in which balancers differed, as the run says it: the machine itself may have been slow. */
function expectTogether({ stdout }: CliResult): void {
  const ms = Math.max(...[...stdout.matchAll(/differed for (\d+) ms at most/g)].map(([, ms]) => Number(ms)));
  console.log(`balancers differed for ${ms} ms at most`);
  expect(ms).toBeLessThan(10_000);
  differencesMs.push(ms);
}

test('a deploy goes to the pool without traffic and flips to it at both balancers, and no request fails', {
  timeout,
}, async () => {
  const [before] = await liveAt();
  const { run, reports } = await underTraffic(() => site.deploy('v3', '--verbose'), 'deploy');
  expect(run.exit, run.output).toBe(0);
  expectNothingSpilled(reports);
  expect(await liveAt()).toEqual([other(before)]);
  expectTogether(run);
});

test('a repeated deploy has nothing to do', { timeout }, async () => {
  const before = await liveAt();
  expect((await site.deploy('v3')).output).toMatch(/nothing to do/i);
  expect(await liveAt()).toEqual(before);
});

test('flip --back and flip move all traffic without a build, and no request fails', { timeout }, async () => {
  const [before] = await liveAt();
  const releases = await site.live();
  const flips: CliResult[] = [];
  const { run, reports } = await underTraffic(async () => {
    flips.push(await site.sluice('flip', 'production', '--back', '--yes', '--verbose'));
    expect(await liveAt()).toEqual([other(before)]);
    return site.sluice('flip', 'production', '--yes', '--verbose');
  }, 'flip back and flip');
  for (const { exit, output } of [...flips, run]) expect(exit, output).toBe(0);
  for (const flip of [...flips, run]) expectTogether(flip);
  expect(Math.min(...differencesMs)).toBeLessThan(1000);
  expectNothingSpilled(reports);
  expect(await liveAt()).toEqual([before]);
  expect(await site.live()).toEqual(releases);
});

test('a flip to where traffic goes already is refused', { timeout }, async () => {
  const { exit, output } = await site.sluice('flip', 'production', '--yes');
  expect([exit, output]).toEqual([2, expect.stringMatching(/gets all traffic already.*--back/s)]);
});

test('a rollback flips back to the pool that has the release before', { timeout }, async () => {
  const [before] = await liveAt();
  const releases = await site.live();
  const { exit, output } = await site.rollback();
  expect(exit, output).toBe(0);
  expect(await liveAt()).toEqual([other(before)]);
  expect(await site.live()).toEqual(releases);
});

test('before the flip, only who has the header sees the new release, until somebody promotes it', {
  timeout,
}, async () => {
  const [before] = await liveAt();
  const seen = (headers: Readonly<Record<string, string>> = {}): Promise<readonly string[]> =>
    Promise.all(balancers.map(async ({ url }) => (await fetch(url, { headers })).text()));
  await site.configure(settings({ strategy: { name: 'blue-green', bake: '100ms', hold: 'promote' } }));
  const { run } = await underTraffic(() => site.deploy('v4', '--verbose'), 'a deploy that is held', 1000);
  expect(run.exit, run.output).toBe(4);
  expect(run.output).toMatch(/preview web\d, web\d as/);
  expect(await liveAt()).toEqual([before]);
  for (const page of await seen({ 'x-preview': previewWord })) expect(page).toContain('version v4');
  for (const page of await seen()) expect(page).not.toContain('version v4');
  const promoted = await site.sluice('promote', 'production', '--yes');
  expect(promoted.exit, promoted.output).toBe(0);
  for (const page of await seen()) expect(page).toContain('version v4');
  expect(await liveAt()).toEqual([other(before)]);
});

test('a preview that shows the pool with the traffic keeps a release from being flipped to', {
  timeout,
}, async () => {
  const before = await liveAt();
  const urls = balancers.map(({ url }) => url);
  await site.configure(settings({ preview: { urls }, checks: site.checks({ timeout: '8s' }) }));
  const { exit, output } = await site.deploy('v3');
  expect([exit, output]).toEqual([1, expect.stringContaining('The preview does not show the new release')]);
  expect(await liveAt()).toEqual(before);
});

test('a pool that fails its checks gets no traffic', { timeout }, async () => {
  const before = await liveAt();
  const [idle] = pools[before[0] === 'pool_blue' ? 'green' : 'blue'];
  await site.setEnv(site.node(idle), { FAILS: 'v5' });
  await site.configure(settings({ checks: site.checks({ timeout: '10s' }) }));
  const { run, reports } = await underTraffic(() => site.deploy('v5'), 'a pool that fails its checks', 1000);
  await site.setEnv(site.node(idle));
  expect(run.exit, run.output).toBe(1);
  expectNothingSpilled(reports, 1000);
  expect(await liveAt()).toEqual(before);
});

test('a pool that fails after the flip is flipped back by itself, and no request fails', {
  timeout,
}, async () => {
  const before = await liveAt();
  const [idle] = pools[before[0] === 'pool_blue' ? 'green' : 'blue'];
  const server = `${other(before[0])}/${idle}`;
  const tell = (...lines: readonly string[]) =>
    Promise.all(
      balancers.map(({ socket }) => ask(socket, lines.map((line) => `${line} ${server}`).join(';'))),
    );
  await site.configure(settings({ strategy: { name: 'blue-green', bake: '30s' } }));
  const { run, reports } = await underTraffic(async () => {
    const deploy = site.startDeploy('v5', '--verbose');
    await deploy.printed(/differed for/);
    expect(await liveAt()).toEqual([other(before[0])]);
    await tell('disable health');
    for (const { socket } of balancers) await ask(socket, `set server ${server} health down`);
    const brokenAtMs = performance.now();
    while ((await liveAt())[0] !== before[0] && performance.now() - brokenAtMs < 20_000) await sleep(50);
    console.log(`back ${Math.round(performance.now() - brokenAtMs)} ms after it broke`);
    await tell('enable health');
    return deploy.ended;
  }, 'a pool that fails after the flip');
  expect(run.exit, run.output).toBe(1);
  expect(run.output).toContain(`${idle} stopped serving during the hold bake`);
  expectNothingSpilled(reports);
  expect(await liveAt()).toEqual(before);
});

test('a pool that errs more than the one before goes back by itself, by what the balancers count', {
  timeout,
}, async () => {
  const before = await liveAt();
  await site.configure(settings({ strategy: { name: 'blue-green', bake: '60s' } }));
  const { run, reports } = await underTraffic(
    () => site.deploy('erring', '--verbose'),
    'a pool that errs',
    1000,
  );
  expect(run.exit, run.output).toBe(1);
  expect(run.output).toMatch(
    /Hold bake found more errors than there were before the flip\. The pool failed /,
  );
  expect(await liveAt()).toEqual(before);
  // Nothing fails but what the pool itself answered while it had the traffic.
  for (const { failed, statuses, requests } of reports) {
    expect([failed, requests]).toEqual([statuses[500], (statuses[200] ?? 0) + (statuses[500] ?? 0)]);
    expect(failed).toBeGreaterThan(0);
  }
});

test('WebSockets of the pool before are closed after the bake, apart from requests, of which none fails', {
  timeout,
}, async () => {
  const drain = { timeout: '15s', webSockets: '1s' };
  await site.configure(settings({ drain, strategy: { name: 'blue-green', bake: '2s' } }));
  const { run, reports } = await underTraffic(
    () => site.deploy('v6', '--verbose'),
    'WebSockets let go',
    1000,
  );
  expect(run.exit, run.output).toBe(0);
  expect(run.output).toMatch(/WebSockets are closed, their time is over/);
  for (const report of reports) {
    expect(report).toMatchObject({ failed: 0, failures: [] });
    expect(report.webSockets).toMatchObject({ opened: 16, closed: 8 });
    expect(report.uploads).toBeGreaterThan(4);
  }
});

test('a node that is drained waits for requests and uploads, and closes WebSockets when their time is over', {
  timeout,
}, async () => {
  const [live] = pools[(await liveAt())[0] === 'pool_blue' ? 'blue' : 'green'];
  await site.configure(settings({ servingMin: 1, drain: { timeout: '15s', webSockets: '1s' } }));
  const drained = () => site.sluice('drain', 'production', live);
  const { run, reports } = await underTraffic(drained, 'a drain', 1000);
  expect(run.exit, run.output).toBe(0);
  for (const report of reports) {
    expect(report).toMatchObject({ failed: 0, failures: [] });
    // How many of the eight are at that node is up to the balancer; each that is closed is opened anew, at another.
    const { opened, closed } = report.webSockets;
    expect([closed > 0, closed < 8, opened - closed]).toEqual([true, true, 8]);
  }
  expect((await site.sluice('enable', 'production', live)).exit).toBe(0);
});

test('what is flipped outlives a restart of the balancer', { timeout }, async () => {
  const before = await liveAt();
  for (const balancer of balancers) await balancer.restart();
  expect(await liveAt()).toEqual(before);
  expect(await readFile(balancers[0]!.map, 'utf8')).toMatch(/^# which pool is live\nother entry\n/);
});

test('status and check say which balancer thinks what, and flip brings them together', {
  timeout,
}, async () => {
  const [before] = await liveAt();
  const { map, socket } = balancers[0]!;
  await copyFile(map, `${map}.saved`);
  await ask(socket, `set map ${map} active ${other(before)}`);
  const { stdout } = await site.sluice('status', 'production');
  const [here, there] = [other(before), before!].map((backend) => backend.replace('pool_', ''));
  expect(stdout).toContain(`Balancers do not agree: traffic goes from lb1 to ${here} and lb2 to ${there}.`);
  expect((await site.sluice('check', 'production')).output).toContain('one and the same pool');
  expect((await site.deploy('v2')).exit).toBe(2);
  const { exit, output } = await site.sluice('flip', 'production', '--yes');
  expect(exit, output).toBe(0);
  expect((await liveAt()).length).toBe(1);
  expect((await site.sluice('status', 'production')).stdout).toMatch(
    /^All traffic goes to pool (blue|green)\.$/m,
  );
});
