import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { parseFields } from '../../../src/core/field.ts';
import { Secret } from '../../../src/core/secret.ts';
import type { Balancer, Transport } from '../../../src/ports.ts';
import { type BalancerOptions, startBalancer } from '../../../src/sandbox/balancer.ts';
import { type Backend, type BalancerLab, balancerContract, startBackend } from '../../contracts/balancer.ts';
import { type FlipLab, flipContract } from '../../contracts/balancer-flip.ts';
import { type WebSocketsLab, webSocketsContract } from '../../contracts/balancer-web-sockets.ts';

balancerContract(
  'the embedded balancer',
  {
    drain: 'hard',
    sessions: 'exact',
    settleMs: 0,
    successor: { rotation: 'kept', requests: 'counted' },
    weights: 'server',
    counters: true,
    checksHealth: true,
  },
  startLab,
);

test('a weight that the configured one is too small for is refused, and nothing is changed', async () => {
  const token = new Secret('open sesame');
  const servers = [{ name: 'web1', host: '127.0.0.1', port: 1, weight: 3 }];
  const running = await startBalancer({ token, servers });
  const balancer = driver({ url: running.adminUrl, token }, ['web1']);
  await expect(balancer.shift([{ node: 'web1', server: null, to: 50 }])).rejects.toMatchObject({
    code: 'BALANCER_WEIGHT_COARSE',
    details: { server: 'front web1', wanted: 50, configured: 3, nearest: 33.3 },
  });
  expect((await balancer.observe()).servers).toMatchObject([{ weight: 100 }]);
  await running.close();
});

test('what its checks come to is known', async () => {
  const token = new Secret('open sesame');
  const servers = [{ name: 'web1', host: '127.0.0.1', port: 1 }];
  const noticedBy = async (check: Pick<BalancerOptions, 'check'>) => {
    const running = await startBalancer({ token, servers, ...check });
    const { members } = await driver({ url: running.adminUrl, token }, ['web1']).observe();
    await running.close();
    return members[0]!.noticesDeadWithinMs;
  };
  expect(await noticedBy({ check: { path: '/up', intervalMs: 2000, rise: 1, fall: 3 } })).toBe(9000);
  expect(await noticedBy({})).toBeNull();
});

test('a balancer that takes a change and does not make it is found out', async () => {
  const state = { host: 'web1', port: 80, rotation: 'in', health: 'up', inFlight: 0, webSockets: 0 };
  const counts = { requests: 0, answered: 0, failures: 0, refused: 0, responseMs: null };
  const web1 = { name: 'web1', ...state, weight: 100, configuredWeight: 100, ...counts };
  const deaf = createServer((_, response) => {
    response.end(JSON.stringify({ incarnation: '1', unserved: 0, servers: [web1] }));
  }).listen(0, '127.0.0.1');
  await once(deaf, 'listening');
  const { port } = deaf.address() as AddressInfo;
  const balancer = driver({ url: `http://127.0.0.1:${port}`, token: 'any' }, ['web1']);
  await expect(balancer.shift([{ node: 'web1', server: null, to: 50 }])).rejects.toMatchObject({
    code: 'BALANCER_NOT_APPLIED',
    details: { server: 'front web1', wanted: 'weight 50', seen: 'weight 100' },
  });
  await expect(balancer.change([{ node: 'web1', server: null, to: 'out' }])).rejects.toMatchObject({
    code: 'BALANCER_NOT_APPLIED',
    details: { server: 'front web1', wanted: 'out', seen: 'in' },
  });
  deaf.close();
});

describe('the embedded balancer with WebSockets', () => {
  let lab: WebSocketsLab;
  const closers: (() => unknown)[] = [];
  beforeEach(async () => {
    const backends = [await startBackend('web1'), await startBackend('web2')];
    const token = new Secret('open sesame');
    const servers = backends.map(({ name, port }) => ({ name, host: '127.0.0.1', port }));
    const { url, adminUrl, close } = await startBalancer({ token, servers });
    closers.push(close, ...backends.map((backend) => backend.close));
    lab = { url, balancer: driver({ url: adminUrl, token }, ['web1', 'web2']) };
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  webSocketsContract(() => lab);
});

describe('the embedded balancer with two pools', () => {
  let lab: FlipLab;
  const closers: (() => unknown)[] = [];
  beforeEach(async () => {
    const dir = mkdtempSync(join(tmpdir(), 'balancer-'));
    const backends = [await startBackend('web1'), await startBackend('web2')];
    const token = new Secret('open sesame');
    const start = (ports: { port?: number; adminPort?: number } = {}) =>
      startBalancer({
        ...ports,
        token,
        servers: backends.map(({ name, port }, i) => ({
          name,
          host: '127.0.0.1',
          port,
          pool: i === 0 ? 'blue' : 'green',
        })),
        stateFile: join(dir, 'state.json'),
      });
    let running = await start();
    const { url, adminUrl } = running;
    closers.push(
      () => running.close(),
      ...backends.map(({ close }) => close),
      () => rmSync(dir, { recursive: true }),
    );
    lab = {
      balancer: driver({ url: adminUrl, token }, ['web1', 'web2']),
      members: 1,
      ask: async () => (await fetch(url)).text(),
      async restartMember() {
        await running.close();
        running = await start({ port: Number(new URL(url).port), adminPort: Number(new URL(adminUrl).port) });
      },
    };
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
  });

  flipContract(() => lab);

  test('a pool that it does not have is refused', async () => {
    await expect(lab.balancer.flip('red')).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
    expect((await lab.balancer.observe()).members).toMatchObject([{ pool: 'blue' }]);
  });
});

async function startLab(backends: readonly Backend[]): Promise<BalancerLab> {
  const token = new Secret('open sesame');
  const dir = mkdtempSync(join(tmpdir(), 'balancer-'));
  const start = (ports: { port?: number; adminPort?: number } = {}) =>
    startBalancer({
      ...ports,
      token,
      servers: backends.map(({ name, port }) => ({ name, host: '127.0.0.1', port })),
      stateFile: join(dir, 'state.json'),
      check: { path: '/health', intervalMs: 40, rise: 1, fall: 3 },
    });
  let running = await start();
  const { url, adminUrl } = running;
  const ports = { port: Number(new URL(url).port), adminPort: Number(new URL(adminUrl).port) };
  const balancer = driver({ url: adminUrl, token }, ['web1', 'web2']);
  return {
    balancer,
    urls: [url],
    serverNamed: (name) => name,
    forNodes: (nodes) => driver({ url: adminUrl, token }, nodes),
    withoutRights: () => driver({ url: adminUrl, token: 'guessed' }, ['web1', 'web2']),
    async takeOutByHand(node) {
      await fetch(`${adminUrl}/servers`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${token.reveal()}` },
        body: JSON.stringify({ [node]: { rotation: 'out' } }),
      });
    },
    async restartMember() {
      await running.close();
      running = await start(ports);
    },
    stopMember: () => running.close(),
    async close() {
      await running.close();
      rmSync(dir, { recursive: true });
    },
  };
}

function driver(raw: Readonly<Record<string, unknown>>, nodes: readonly string[]): Balancer {
  const kind = balancerKinds.embedded;
  const options = parseFields(kind.options, raw);
  if (!options.ok) throw new Error(options.problems.join('\n'));
  return kind.create({
    name: 'front',
    options: options.value,
    nodes,
    transport: null as unknown as Transport,
  });
}
