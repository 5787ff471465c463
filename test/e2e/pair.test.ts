import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ask, type HaproxyBackend } from '../lab/haproxy.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { type Pair, startPair, trackFile, until } from '../lab/pair.ts';
import { createRepository } from '../lab/repository.ts';
import type { LabSite } from '../lab/site.ts';
import { clients } from '../lab/watch.ts';

const requestsMin = 50_000;
const nodes = ['web1', 'web2', 'web3', 'web4'];

let lab: Lab;
let site: LabSite;
let pair: Pair;

beforeAll(async () => {
  lab = await startLab({ nodes: 6 });
  const versions = ['v1', 'v2'].map((tag) => ({ tag, bootMs: 300 }));
  const repository = await createRepository(join(lab.folder, 'pair-repository'), versions);
  site = await lab.site({ name: 'pair', nodes: 4, repository });
  const web = backend('web', site, nodes);
  pair = await startPair({
    name: 'pair',
    folder: join(lab.folder, 'pair'),
    home: lab.home,
    backends: [[web], [web]],
  });
  await site.configure({ ...settings('go on'), strategy: 'all-at-once', servingMin: 0 });
  await site.deployed('v1');
  await site.configure(settings('go on'));
});
afterAll(async () => {
  await pair?.stop();
  await lab?.stop();
});

const backend = (name: string, at: LabSite, names: readonly string[]): HaproxyBackend => ({
  name,
  lines: [
    'balance roundrobin',
    'option httpchk GET /health',
    'default-server check inter 300ms fastinter 100ms rise 1 fall 3',
  ],
  servers: names.map((one) => ({ name: one, address: at.node(one).address, port: at.port! })),
});

const settings = (onUnreachable: 'stop' | 'go on') => ({
  servingMin: 3,
  balancers: Object.fromEntries(
    pair.machines.map(({ name, haproxy, host }) => [
      name,
      { kind: 'haproxy', socket: haproxy.socket, host, backend: 'web', timeout: '5s', onUnreachable },
    ]),
  ),
  addresses: {
    front: {
      kind: 'keepalived',
      ip: pair.ip,
      balancers: pair.machines.map(({ name }) => name),
    },
  },
});

test('balancers shows what both see, and who holds the address', async () => {
  const { exit, output } = await site.sluice('balancers', 'production');
  expect(output).toContain(`front (${pair.ip}) is held by lb1.`);
  expect(output).toContain('All agree.');
  expect(exit).toBe(0);
  await ask(pair.machines[1].haproxy.socket, 'set server web/web3 state maint');
  const apart = await site.sluice('balancers', 'production');
  await ask(pair.machines[1].haproxy.socket, 'set server web/web3 state ready');
  expect([apart.exit, apart.output]).toEqual([
    3,
    expect.stringContaining('do not agree on the rotation of web3: in at lb1 and out at lb2'),
  ]);
});

test('the active balancer dies in the middle of a deploy: only what it had in flight fails, and the deploy is done', async () => {
  const [lb1, lb2] = pair.machines;
  const askedMs = performance.now();
  const traffic = await clients(pair, usual, pair.inNetwork);
  const startMs = performance.now();
  await sleep(2500);
  const run = site.startDeploy('v2', '--verbose');
  await run.printed(/activate \S+ \(\S+\) on web2/);
  const killedMs = performance.now() - startMs;
  await lb1.kill();
  await until(() => lb2.holds());
  const movedMs = performance.now() - askedMs;
  const { exit, output } = await run.ended;
  await traffic.reach(requestsMin);
  const report = await traffic.stop();
  console.log(
    `${report.requests} requests (${report.slowRequests} slow) in ${report.tookMs} ms, ${report.failed} failed; ` +
      `the address moved at most ${Math.round(movedMs - killedMs)} ms after the kill`,
  );
  expect(exit, output).toBe(0);
  expect(output).toMatch(/moved from lb1 to lb2|gone on without lb1/);
  expect(output).toContain('lb1 was not reached to the end');
  expect(report.requests).toBeGreaterThanOrEqual(requestsMin);
  const times = report.failures.map(({ atMs }) => atMs);
  expect(report.failures.length).toBe(report.failed);
  expect(Math.min(...times)).toBeGreaterThan(killedMs - slackMs);
  expect(Math.max(...times)).toBeLessThan(movedMs + slackMs);
  expect(Object.values(await site.served())).toEqual(Array(4).fill(await site.release()));
});

/** The rapid ones hardly ask until it is about numbers: all that fail at once must be few enough to be told one by one. */
const usual = { workers: 8, slow: 8, slowMs: 2000, lateMs: 20_000, rapid: 8, perSecond: 80 };
/** Between what happens to clients and their word of it. */
const slackMs = 500;

test('what is down is said, and a deploy does not begin where it may not be gone on without', async () => {
  const shown = await site.sluice('balancers', 'production');
  expect([shown.exit, shown.output]).toEqual([3, expect.stringContaining('is held by lb2')]);
  await site.configure(settings('stop'));
  const { exit, output } = await site.deploy('v1');
  expect([exit, output]).toEqual([2, expect.stringContaining('Balancer lb1')]);
});

test('an address that moves from one pool to the other is a flip, by a deploy and by hand', async () => {
  const colours = await lab.site({ name: 'colours', nodes: 2, after: 4 });
  const two = await startPair({
    name: 'flip',
    folder: join(lab.folder, 'flip'),
    home: lab.home,
    backends: [[backend('blue', colours, ['web5'])], [backend('green', colours, ['web6'])]],
  });
  try {
    const [blue, green] = two.machines;
    await colours.configure({
      nodes: [
        { name: 'web5', address: colours.node('web5').address, pool: 'blue' },
        { name: 'web6', address: colours.node('web6').address, pool: 'green' },
      ],
      balancers: {
        front: {
          kind: 'address',
          address: { kind: 'keepalived', ip: two.ip, trackFile },
          machines: { blue: blue.host, green: green.host },
        },
      },
      strategy: { name: 'blue-green', bake: '1s' },
      drain: { timeout: '3s' },
      servingMin: 1,
    });
    for (const [ref, live, idle] of [
      ['good-1', green, blue],
      ['good-2', blue, green],
    ] as const) {
      const { exit, output } = await colours.deploy(ref, '--verbose');
      expect(exit, output).toBe(0);
      expect([live.holds(), idle.holds()]).toEqual([true, false]);
    }
    const askedMs = performance.now();
    const traffic = await clients(two, { workers: 4, slow: 0, lateMs: 20_000 }, two.inNetwork);
    await sleep(1000);
    const back = await colours.sluice('flip', 'production', '--back', '--yes');
    const backMs = performance.now() - askedMs;
    await sleep(1500);
    const report = await traffic.stop();
    console.log(
      `${report.requests} requests, ${report.failed} failed, in a flip of ${Math.round(back.tookMs)} ms`,
    );
    expect(back.exit, back.output).toBe(0);
    expect([blue.holds(), green.holds()]).toEqual([false, true]);
    for (const { atMs } of report.failures) expect(atMs).toBeLessThan(backMs + slackMs);
    // Each client has one request in flight, and may meet the machine that the address is just leaving once more.
    expect(report.failed).toBeLessThanOrEqual(8);
  } finally {
    await two.stop();
  }
});
