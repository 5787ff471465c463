import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Balancer } from '../../../src/ports.ts';
import { type BalancerLab, balancerContract, turn } from '../../contracts/balancer.ts';
import { type FakeConfig, type FakeLinode, startLinode } from '../../lab/linode.ts';
import { balancerOf } from './balancer-of.ts';

const driver = (
  fake: FakeLinode,
  options: Readonly<Record<string, unknown>> = {},
  nodes: readonly string[] = ['web1', 'web2'],
): Balancer =>
  balancerOf(
    'linode',
    { nodebalancer: 7, ports: 80, token: 'owner-token', url: fake.url, settle: '0s', ...options },
    { nodes },
  );

balancerContract(
  'a NodeBalancer',
  {
    drain: 'both',
    sessions: 'none',
    settleMs: 0,
    successor: { rotation: 'kept', requests: 'counted' },
    weights: 'none',
    counters: false,
    checksHealth: true,
    isHosted: true,
  },
  async (backends): Promise<BalancerLab> => {
    const nodes = backends.map(({ name, port }) => ({
      label: name,
      address: `127.0.0.1:${port}`,
      mode: 'accept' as const,
    }));
    const fake = await startLinode([{ port: 80, check: 'http', nodes }]);
    return {
      balancer: driver(fake),
      urls: fake.urls,
      serverNamed: (name) => name,
      forNodes: (names) => driver(fake, {}, names),
      withoutRights: () => driver(fake, { token: 'reader-token' }),
      takeOutByHand: async (node) => fake.setMode(node, 'reject'),
      restartMember: fake.restartApi,
      stopMember: fake.stopApi,
      close: fake.close,
    };
  },
);

describe('a NodeBalancer with several ports', () => {
  let fake: FakeLinode;
  const config = (port: number, check: FakeConfig['check'], nodePort: number): FakeConfig => ({
    port,
    check,
    nodes: ['web1', 'web2'].map((label, i) => ({
      label,
      address: `10.0.0.${i + 1}:${nodePort}`,
      mode: 'accept',
    })),
  });
  const others = Array.from({ length: 120 }, (_, i) => ({
    label: `other${i}`,
    address: `10.0.1.${i}:80`,
    mode: 'reject' as const,
  }));
  beforeEach(async () => {
    const plain = config(80, 'none', 8080);
    fake = await startLinode([
      { ...plain, nodes: [...others, ...plain.nodes] },
      config(443, 'none', 8443),
      config(8000, 'none', 8000),
    ]);
  });
  afterEach(() => fake.close());

  test('says how long its slowest check takes to notice a dead node, if it makes any', async () => {
    expect((await driver(fake, { ports: [80] }).observe()).members).toMatchObject([
      { noticesDeadWithinMs: null },
    ]);
    const checked = await startLinode([config(80, 'http', 80)]);
    const { members } = await driver(checked, { ports: [80] }).observe();
    await checked.close();
    expect(members).toMatchObject([{ noticesDeadWithinMs: 80_000 }]);
  });

  test('takes a node out on each of them, whatever page it stands on, and on no other port', async () => {
    await driver(fake, { ports: [80, 443] }).change([turn('web1', 'draining')]);
    expect((await driver(fake, { ports: [80, 443, 8000] }).observe()).servers).toMatchObject([
      { node: 'web1', server: 'front 80/web1', rotation: 'draining', health: 'unchecked', sessions: null },
      { node: 'web2', rotation: 'in' },
      { node: 'web1', server: 'front 443/web1', rotation: 'draining' },
      { node: 'web2', rotation: 'in' },
      { node: 'web1', rotation: 'in' },
      { node: 'web2', rotation: 'in' },
    ]);
  });

  test.each(['10.0.0.1', '10.0.0.1:8080'])('knows a node by its address %s', async (web1) => {
    const balancer = driver(fake, { servers: { web1 } });
    await balancer.change([turn('web1', 'out')]);
    expect((await balancer.observe()).servers).toMatchObject([{ rotation: 'out' }, { rotation: 'in' }]);
  });

  test('says which ports it has', async () => {
    await expect(driver(fake, { ports: [80, 444] }).observe()).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { request: 'port 444', answer: 'NodeBalancer 7 has ports 80, 443, 8000' },
    });
  });

  test('that is a backup is out', async () => {
    fake.setMode('web1', 'backup');
    expect((await driver(fake).observe()).servers).toMatchObject([{ rotation: 'out' }, { rotation: 'in' }]);
  });

  test('is asked again when it says that it is asked too much', async () => {
    fake.limitNext(1);
    expect((await driver(fake).observe()).members).toMatchObject([{ unreachable: null }]);
  });

  test('refuses a wrong token and an id that is not there, and no error shows the token', async () => {
    const error = await driver(fake, { token: 'guessed-it' })
      .observe()
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringMatching(/^401 .*Invalid Token/) },
    });
    expect(JSON.stringify(error)).not.toContain('guessed-it');
    await expect(driver(fake, { nodebalancer: 8 }).observe()).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringMatching(/^404 /) },
    });
  });
});
