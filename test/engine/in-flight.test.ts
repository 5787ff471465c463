import { expect, test } from 'vitest';
import type { BalancerState, ServerState } from '../../src/core/observation.ts';
import type { BalancerCapabilities } from '../../src/ports.ts';
import { benchSite } from './bench-site.ts';

type Bench = ReturnType<typeof benchSite>;

const drain = { timeoutMs: 4000, onTimeout: 'put-back', enableTimeoutMs: 4000, port: null } as const;

function able(bench: Bench, more: Partial<BalancerCapabilities>): void {
  const [balancer] = bench.ports.balancers;
  Object.assign(balancer!.capabilities, more);
}

/** What is read of the balancer, changed. */
function reading(
  bench: Bench,
  change: (
    member: BalancerState,
    servers: readonly ServerState[],
  ) => {
    readonly member?: Partial<BalancerState>;
    readonly servers?: readonly ServerState[];
  },
): void {
  const balancer = bench.ports.balancers[0]!;
  const { observe } = balancer;
  Object.assign(balancer, {
    async observe() {
      const { members, servers } = await observe();
      const { member = {}, servers: shown = servers } = change(members[0]!, servers);
      return { members: [{ ...members[0]!, ...member }], servers: shown };
    },
  });
}

/** How long the first node was out of rotation, from the report. */
async function outMs(bench: Bench): Promise<number> {
  const report = await bench.deploy(2);
  expect(report.failure).toBe(null);
  return report.nodes?.find(({ name }) => name === 'web1')?.outMs ?? Number.NaN;
}

test('what a balancer cannot count has the whole time, unless the node can', async () => {
  const blind = (bench: Bench) => {
    able(bench, { sessions: 'none' });
    reading(bench, (_member, servers) => ({
      servers: servers.map((server) => ({ ...server, sessions: null })),
    }));
  };
  const waiting = benchSite(2, { drain });
  await waiting.deployed(1);
  blind(waiting);
  expect(await outMs(waiting)).toBeGreaterThanOrEqual(4000);

  const counting = benchSite(2, { drain: { ...drain, port: 9 } });
  await counting.deployed(1);
  blind(counting);
  expect(await outMs(counting)).toBeLessThan(1000);
});

test('connections that stay keep the node from being changed', async () => {
  const bench = benchSite(2, { drain: { ...drain, port: 9 } });
  const before = await bench.deployed(1);
  able(bench, { sessions: 'none' });
  reading(bench, (_member, servers) => ({
    servers: servers.map((server) => ({ ...server, sessions: null })),
  }));
  const { run } = bench.ports.transport;
  Object.assign(bench.ports.transport, {
    run: (...args: Parameters<typeof run>) =>
      args[1].name === 'count-connections'
        ? Promise.resolve({ status: 0, stdout: '3\n', stderr: '' })
        : run(...args),
  });
  const report = await bench.deploy(2);
  expect(report).toMatchObject({ exit: 1, failure: { code: 'DRAIN_TIMEOUT' } });
  expect(report.failure?.message).toContain('3 requests in flight');
  expect(bench.lives()).toEqual([before, before]);
});

test('a process that took the place of another is not believed that nothing is in flight, until the time is over', async () => {
  for (const [requests, least, most] of [
    ['uncounted', 4000, Number.POSITIVE_INFINITY],
    ['counted', 0, 1000],
  ] as const) {
    const bench = benchSite(2, { drain });
    await bench.deployed(1);
    able(bench, { successor: { rotation: 'kept', requests } });
    reading(bench, () => ({
      member: { incarnation: bench.servers.get('web1')!.rotation === 'in' ? '1' : '2' },
    }));
    const took = await outMs(bench);
    expect([requests, took >= least && took < most]).toEqual([requests, true]);
  }
});

test('a balancer that lags behind what it says is given its time, on the way out and on the way in', async () => {
  const bench = benchSite(2, { drain });
  await bench.deployed(1);
  able(bench, { settleMs: 1500 });
  expect(await outMs(bench)).toBeGreaterThanOrEqual(1500);
  const enables = bench.events.filter(({ type }) => type === 'step-done').slice(-10);
  const took = enables.flatMap((event) =>
    event.type === 'step-done' && event.step.kind === 'enable' ? event.tookMs : [],
  );
  expect(Math.min(...took)).toBeGreaterThanOrEqual(1500);
});

test('one look that shows no request is not enough where requests are estimated', async () => {
  const bench = benchSite(2, { drain });
  await bench.deployed(1);
  able(bench, { sessions: 'estimate' });
  let looks = 0;
  reading(bench, (_member, servers) => ({
    servers: servers.map((server) =>
      server.node === 'web1' && server.rotation === 'out'
        ? { ...server, sessions: ++looks === 2 ? 1 : 0 }
        : server,
    ),
  }));
  expect((await bench.deploy(2)).exit).toBe(0);
  expect(looks).toBeGreaterThanOrEqual(4);
});
