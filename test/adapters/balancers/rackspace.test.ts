import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Balancer } from '../../../src/ports.ts';
import { type BalancerLab, balancerContract, turn } from '../../contracts/balancer.ts';
import { type FakeRackspace, rackspaceKeys, startRackspace } from '../../lab/rackspace.ts';
import { balancerOf } from './balancer-of.ts';

const driver = (
  fake: FakeRackspace,
  options: Readonly<Record<string, unknown>>,
  nodes: readonly string[] = ['web1', 'web2'],
): Balancer =>
  balancerOf(
    'rackspace',
    {
      loadBalancer: 1,
      url: fake.url,
      identity: fake.identity,
      username: 'owner',
      apiKey: rackspaceKeys.owner,
      settle: '0s',
      ...options,
    },
    { nodes },
  );

balancerContract(
  'a Cloud Load Balancer',
  {
    drain: 'soft',
    sessions: 'none',
    settleMs: 0,
    successor: { rotation: 'kept', requests: 'counted' },
    weights: 'none',
    counters: false,
    checksHealth: true,
    isHosted: true,
  },
  async (backends): Promise<BalancerLab> => {
    const fake = await startRackspace({ 1: backends.map(({ port }) => ({ host: '127.0.0.1', port })) });
    const servers = Object.fromEntries(backends.map(({ name, port }) => [name, `127.0.0.1:${port}`]));
    return {
      balancer: driver(fake, { servers }),
      urls: fake.urls,
      serverNamed: (name) => servers[name] ?? name,
      forNodes: (nodes) => driver(fake, { servers }, nodes),
      withoutRights: () => driver(fake, { servers, username: 'reader', apiKey: rackspaceKeys.reader }),
      takeOutByHand: (node) => driver(fake, { servers }).change([turn(node, 'draining')]),
      restartMember: fake.restartApi,
      stopMember: fake.stopApi,
      close: fake.close,
    };
  },
);

describe('Cloud Load Balancers', () => {
  const servers = { web1: '10.0.0.1', web2: '10.0.0.2:8080' };
  const nodes = ['10.0.0.1', '10.0.0.2'].map((host) => ({ host, port: 8080 }));
  let fake: FakeRackspace;
  beforeEach(async () => {
    fake = await startRackspace({ 1: nodes, 2: nodes });
  });
  afterEach(() => fake.close());

  test('are changed one node after the other, each once the one before is made', async () => {
    const balancer = driver(fake, { servers, loadBalancer: [1, 2] });
    await balancer.change([turn('web1', 'draining'), turn('web2', 'draining')]);
    expect((await balancer.observe()).servers).toMatchObject([
      { node: 'web1', server: 'front 1/10.0.0.1', rotation: 'draining', sessions: null },
      { node: 'web2', rotation: 'draining' },
      { node: 'web1', server: 'front 2/10.0.0.1', rotation: 'draining' },
      { node: 'web2', rotation: 'draining' },
    ]);
  });

  test('only ever drain a node: what is in flight is never cut off', async () => {
    const balancer = driver(fake, { servers });
    await balancer.change([turn('web1', 'out')]);
    expect((await balancer.observe()).servers).toMatchObject([{ rotation: 'draining' }, { rotation: 'in' }]);
    expect(balancer.describe(turn('web1', 'out'))).toBe(
      'PUT load balancer 1 10.0.0.1 condition DRAINING (web1)',
    );
  });

  test('that are broken are not waited for', async () => {
    fake.breakBalancer(1);
    await expect(driver(fake, { servers }).change([turn('web1', 'draining')])).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { request: 'PUT /loadbalancers/1/nodes/100', answer: expect.stringMatching(/^422 .*ERROR/) },
    });
  });

  test('are asked with one token, and with a new one once it has run out', async () => {
    const balancer = driver(fake, { servers, loadBalancer: [1, 2] });
    await balancer.observe();
    await balancer.observe();
    expect(fake.tokensGiven()).toBe(1);
    fake.expireTokens();
    expect((await balancer.observe()).members).toMatchObject([{ unreachable: null }]);
    expect(fake.tokensGiven()).toBe(2);
  });

  test('are asked again when they say that they are asked too much', async () => {
    fake.limitNext(1);
    expect((await driver(fake, { servers }).observe()).members).toMatchObject([{ unreachable: null }]);
  });

  test('refuse a wrong key and an id that is not there, and no error shows the key', async () => {
    const wrong = driver(fake, { servers, apiKey: 'guessed-it' });
    const error = await wrong.observe().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringMatching(/^401 /) },
    });
    expect(JSON.stringify(error)).not.toContain('guessed-it');
    await expect(driver(fake, { servers, loadBalancer: 3 }).observe()).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringMatching(/^404 /) },
    });
  });
});
