import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Balancer } from '../../../src/ports.ts';
import { type BalancerLab, balancerContract, turn } from '../../contracts/balancer.ts';
import { awsKeys, type FakeAws, startAws } from '../../lab/aws.ts';
import { balancerOf } from './balancer-of.ts';

const servers = { web1: 'i-0123456789abcdef0', web2: 'i-0123456789abcdef1' };
const keyOf = (accessKeyId: keyof typeof awsKeys) => ({
  accessKeyId,
  secretAccessKey: awsKeys[accessKeyId],
});

const driver = (
  fake: FakeAws,
  options: Readonly<Record<string, unknown>> = {},
  nodes: readonly string[] = ['web1', 'web2'],
): Balancer =>
  balancerOf(
    'aws-classic',
    {
      region: 'eu-west-1',
      endpoint: fake.endpoint,
      credentials: keyOf('owner'),
      settle: '0s',
      loadBalancer: 'front',
      servers,
      ...options,
    },
    { nodes },
  );

balancerContract(
  'a Classic Load Balancer',
  {
    drain: 'hard',
    sessions: 'none',
    settleMs: 0,
    successor: { rotation: 'kept', requests: 'counted' },
    weights: 'none',
    counters: false,
    checksHealth: true,
    isHosted: true,
  },
  async ([web1, web2]): Promise<BalancerLab> => {
    const fake = await startAws({
      classic: [{ name: 'front' }],
      instances: { [servers.web1]: web1!.port, [servers.web2]: web2!.port },
    });
    return {
      balancer: driver(fake),
      urls: fake.urls,
      serverNamed: (name) => servers[name as keyof typeof servers] ?? name,
      forNodes: (nodes) => driver(fake, {}, nodes),
      withoutRights: () => driver(fake, { credentials: keyOf('reader') }),
      takeOutByHand: (node) => driver(fake).change([turn(node, 'out')]),
      restartMember: fake.restartApi,
      stopMember: fake.stopApi,
      close: fake.close,
    };
  },
);

describe('an instance of a Classic Load Balancer', () => {
  let fake: FakeAws;
  beforeEach(async () => {
    fake = await startAws({
      classic: [{ name: 'front' }, { name: 'cutting', drains: false }],
      instances: { [servers.web1]: 1, [servers.web2]: 2 },
    });
    await driver(fake).change([turn('web1', 'in'), turn('web2', 'in')]);
  });
  afterEach(() => fake.close());

  test('may have requests in flight until its draining is over', async () => {
    await driver(fake).change([turn('web1', 'out')]);
    const states = async () => (await driver(fake).observe()).servers;
    expect(await states()).toMatchObject([
      { server: `front front/${servers.web1}`, rotation: 'out', sessions: null },
      { rotation: 'in', sessions: null },
    ]);
    fake.pass(300_000);
    expect(await states()).toMatchObject([{ sessions: 0 }, { sessions: null }]);
  });

  test('that AWS does not know is named, with those that it has', async () => {
    const wrong = driver(fake, { servers: { ...servers, web2: 'i-0badbadbadbadbad0' } });
    await expect(wrong.observe()).rejects.toMatchObject({
      code: 'BALANCER_SERVER_UNKNOWN',
      details: { server: 'i-0badbadbadbadbad0', node: 'web2', known: Object.values(servers) },
    });
  });

  test('is never taken out where that would cut its requests off', async () => {
    await expect(driver(fake, { loadBalancer: 'cutting' }).observe()).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringContaining('connection draining is off') },
    });
  });

  test('that a load balancer of another name would have is refused', async () => {
    await expect(driver(fake, { loadBalancer: 'fornt' }).observe()).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringMatching(/^AccessPointNotFound: /) },
    });
  });
});
