import { describe, expect, test } from 'vitest';
import { setRotation } from '../../../src/engine/manual.ts';
import { observe } from '../../../src/engine/observe.ts';
import { newRun } from '../../../src/engine/run.ts';
import { awaitDrained, noteStray } from '../../../src/engine/settle/drained.ts';
import { release } from '../../core/fleet.ts';
import { benchSite } from '../bench-site.ts';

/** Drains web1, with so many sessions of which so many are WebSockets, at a balancer that can tell them or not. */
async function draining(
  { requests = 0, webSockets = 0 },
  { webSocketsMs = undefined as number | undefined, tells = true } = {},
) {
  const drain = { timeoutMs: 10_000, onTimeout: 'put-back' as const, enableTimeoutMs: 300, port: null };
  const bench = benchSite(2, { drain: webSocketsMs === undefined ? drain : { ...drain, webSocketsMs } });
  const [balancer] = bench.ports.balancers;
  const open = { requests, webSockets };
  const closed: (readonly string[])[] = [];
  const count = (): void => {
    const sessions = open.requests + open.webSockets;
    bench.servers.set('web1', { ...bench.servers.get('web1')!, sessions });
  };
  const webSocketsThere = {
    count: async () => new Map([['lb web/web1', open.webSockets]]),
    async close(servers: readonly string[]) {
      closed.push(servers);
      Object.assign(open, { requests: 0, webSockets: 0 });
      count();
    },
  };
  Object.assign(balancer!, { webSockets: webSocketsThere });
  await bench.deployed(1);
  count();
  if (!tells) Object.assign(balancer!, { webSockets: undefined });
  const startMs = bench.ports.clock.nowMs();
  const { sleep } = bench.ports.clock;
  const after: { requestsEndMs: number } = { requestsEndMs: Number.POSITIVE_INFINITY };
  Object.assign(bench.ports.clock, {
    sleep(ms: number, signal?: AbortSignal) {
      if (bench.ports.clock.nowMs() - startMs >= after.requestsEndMs && open.requests > 0) {
        open.requests = 0;
        count();
      }
      return sleep(ms, signal);
    },
  });
  const request = { nodes: ['web1'], to: 'out', force: false, signal: bench.signal.signal } as const;
  return {
    closed,
    after,
    open,
    drain: () => setRotation(bench.site, bench.ports, request),
    tookMs: () => bench.ports.clock.nowMs() - startMs,
  };
}

describe('WebSockets at a node that is drained', () => {
  test('are waited for as requests are, where nothing is said of them', async () => {
    const { drain, closed } = await draining({ webSockets: 3 });
    await expect(drain()).rejects.toMatchObject({ code: 'DRAIN_TIMEOUT' });
    expect(closed).toEqual([]);
  });

  test('are ended when their time is over, and not before', async () => {
    const { drain, closed, tookMs } = await draining({ webSockets: 3 }, { webSocketsMs: 4000 });
    await drain();
    expect(closed).toEqual([['lb web/web1']]);
    expect(tookMs()).toBeGreaterThanOrEqual(4000);
    expect(tookMs()).toBeLessThan(7000);
  });

  test('may have more time than requests', async () => {
    const { drain, closed, tookMs } = await draining({ webSockets: 3 }, { webSocketsMs: 40_000 });
    await drain();
    expect(closed).toHaveLength(1);
    expect(tookMs()).toBeGreaterThanOrEqual(40_000);
  });

  test('are not ended while a request is in flight beside them', async () => {
    const lab = await draining({ webSockets: 3, requests: 2 }, { webSocketsMs: 0 });
    lab.after.requestsEndMs = 6000;
    await lab.drain();
    expect(lab.closed).toHaveLength(1);
    expect(lab.tookMs()).toBeGreaterThanOrEqual(6000);
  });

  test('do not keep requests from running out of time', async () => {
    const { drain, closed } = await draining({ webSockets: 3, requests: 2 }, { webSocketsMs: 0 });
    await expect(drain()).rejects.toMatchObject({ code: 'DRAIN_TIMEOUT' });
    expect(closed).toEqual([]);
  });

  test('are requests like others to a balancer that cannot tell them', async () => {
    const { drain } = await draining({ webSockets: 3 }, { webSocketsMs: 0, tells: false });
    await expect(drain()).rejects.toMatchObject({ code: 'DRAIN_TIMEOUT' });
  });
});

test('a deploy is refused where a balancer cannot keep to the time of WebSockets', async () => {
  const bench = benchSite(2, {
    drain: { timeoutMs: 300, onTimeout: 'put-back', webSocketsMs: 0, enableTimeoutMs: 300, port: null },
  });
  const { exit, failure } = await bench.deploy(1);
  expect([exit, failure?.message]).toEqual([
    2,
    expect.stringContaining('lb cannot tell WebSockets from requests'),
  ]);
});

test.each([
  ['once', 1000, null],
  ['anew from then, where a balancer is told again meanwhile that the node is out', 1800, 800],
])('the time of requests at a node that is out counts %s', async (_, endsAtMs, strayAtMs) => {
  const drain = { timeoutMs: 1000, onTimeout: 'put-back', enableTimeoutMs: 300, port: null } as const;
  const bench = benchSite(2, { drain });
  await bench.deployed(1);
  bench.servers.set('web1', { ...bench.servers.get('web1')!, rotation: 'out', sessions: 2 });
  const { site, ports } = bench;
  const observed = await observe(site, ports);
  const signal = bench.signal.signal;
  const run = newRun({ id: 'run', site, ports, voters: [], release: release(1), signal, observed });
  const startMs = ports.clock.nowMs();
  if (strayAtMs !== null) void ports.clock.sleep(strayAtMs).then(() => noteStray(run, 'web1'));
  expect(await awaitDrained(run, ['web1'])).toMatchObject([
    { node: 'web1', error: { code: 'DRAIN_TIMEOUT' } },
  ]);
  const tookMs = ports.clock.nowMs() - startMs;
  expect([tookMs >= endsAtMs, tookMs < endsAtMs + 400]).toEqual([true, true]);
});
