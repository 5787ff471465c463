import type { Action } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Balancer } from '../../../src/ports.ts';
import {
  type Backend,
  type BalancerLab,
  balancerContract,
  ofNode,
  startBackend,
  turn,
} from '../../contracts/balancer.ts';
import { type FlipLab, flipContract } from '../../contracts/balancer-flip.ts';
import { awsKeys, type FakeAws, groupArn, startAws } from '../../lab/aws.ts';
import { balancerOf } from './balancer-of.ts';

const credentials = { accessKeyId: 'owner', secretAccessKey: awsKeys.owner };
const reader = { accessKeyId: 'reader', secretAccessKey: awsKeys.reader };

const forward = (weights: Readonly<Record<string, number>>, rest: Partial<Action> = {}): Action => ({
  Type: 'forward',
  ...rest,
  ForwardConfig: {
    TargetGroups: Object.entries(weights).map(([name, Weight]) => ({
      TargetGroupArn: groupArn(name),
      Weight,
    })),
    ...rest.ForwardConfig,
  },
});

const driver = (
  fake: FakeAws,
  options: Readonly<Record<string, unknown>>,
  nodes = ['web1', 'web2'],
  pools = {},
): Balancer =>
  balancerOf(
    'aws',
    {
      region: 'eu-west-1',
      endpoint: fake.endpoint,
      credentials,
      settle: '0s',
      targetGroup: 'web',
      ...options,
    },
    { nodes, pools },
  );

const addresses = (backends: readonly Backend[]): Readonly<Record<string, string>> =>
  Object.fromEntries(backends.map(({ name, port }) => [name, `127.0.0.1:${port}`]));

balancerContract(
  'an Application Load Balancer',
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
  async (backends): Promise<BalancerLab> => {
    const fake = await startAws({
      groups: [{ name: 'web' }],
      listeners: [{ actions: [forward({ web: 1 })] }],
    });
    const servers = addresses(backends);
    return {
      balancer: driver(fake, { servers }),
      urls: fake.urls,
      serverNamed: (name) => servers[name] ?? name,
      forNodes: (nodes) => driver(fake, { servers }, [...nodes]),
      withoutRights: () => driver(fake, { servers, credentials: reader }),
      async takeOutByHand(node) {
        const [Id = '', Port = ''] = servers[node]!.split(':');
        fake.deregister('web', { Id, Port });
      },
      restartMember: fake.restartApi,
      stopMember: fake.stopApi,
      close: fake.close,
    };
  },
);

describe('a target that was deregistered', () => {
  const [first, second] = ['i-0123456789abcdef0', 'i-0123456789abcdef1'] as const;
  let fake: FakeAws;
  let web1: Backend;
  const web1States = async () => ofNode(await balancer().observe(), 'web1');
  const balancer = () =>
    driver(fake, {
      targetGroup: ['web', groupArn('tls')],
      servers: { web1: `${first}:${web1.port}`, web2: second },
    });

  beforeEach(async () => {
    web1 = await startBackend('web1');
    fake = await startAws({
      groups: ['web', 'tls'].map((name) => ({ name, type: 'instance' })),
      listeners: [{ actions: [forward({ web: 1 })] }, { actions: [forward({ tls: 1 })] }],
      instances: { [first]: web1.port },
    });
    await balancer().change([turn('web1', 'in')]);
  });
  afterEach(async () => {
    await fake.close();
    await web1.close();
  });

  test('is one of a group that says how long it takes to notice a dead target', async () => {
    expect((await balancer().observe()).members).toMatchObject([{ noticesDeadWithinMs: 60_000 }]);
  });

  test('may have requests in flight until its delay is over, in each of its groups', async () => {
    await balancer().change([turn('web1', 'out')]);
    expect(await web1States()).toMatchObject([
      { server: `front web/${first}:${web1.port}`, rotation: 'out', sessions: null },
      { server: `front tls/${first}:${web1.port}`, rotation: 'out', sessions: null },
    ]);
    fake.pass(299_000);
    expect(await web1States()).toMatchObject([{ sessions: null }, { sessions: null }]);
    fake.pass(1000);
    expect(await web1States()).toMatchObject([
      { rotation: 'out', sessions: 0 },
      { rotation: 'out', sessions: 0 },
    ]);
  });

  test('is not deregistered once more, which might begin its delay anew', async () => {
    await balancer().change([turn('web1', 'out')]);
    await balancer().change([turn('web1', 'out')]);
    expect(fake.requests.filter((action) => action === 'DeregisterTargets')).toHaveLength(2);
  });

  test('is registered again while it drains, and then does not drain', async () => {
    await balancer().change([turn('web1', 'out')]);
    await balancer().change([turn('web1', 'in')]);
    expect(await web1States()).toMatchObject([{ rotation: 'in' }, { rotation: 'in' }]);
    fake.pass(300_000);
    expect(await web1States()).toMatchObject([{ rotation: 'in' }, { rotation: 'in' }]);
  });

  test('that AWS does not know is named, with those that it has', async () => {
    await expect(balancer().change([turn('web2', 'in')])).rejects.toMatchObject({
      code: 'BALANCER_SERVER_UNKNOWN',
      details: { server: second, node: 'web2', known: [`${first}:${web1.port}`] },
    });
  });

  test('is told in one line', () => {
    expect(balancer().describe(turn('web2', 'out'))).toBe(
      `DeregisterTargets web ${second} (web2); DeregisterTargets tls ${second} (web2)`,
    );
  });
});

describe('two pools of target groups', () => {
  const oidc: Action = {
    Type: 'authenticate-oidc',
    Order: 1,
    AuthenticateOidcConfig: {
      Issuer: 'https://id.example.org',
      AuthorizationEndpoint: 'https://id.example.org/a',
      TokenEndpoint: 'https://id.example.org/t',
      UserInfoEndpoint: 'https://id.example.org/u',
      ClientId: 'shop',
      ClientSecret: 'never shown',
    },
  };
  let fake: FakeAws;
  let backends: readonly Backend[];
  let balancer: Balancer;
  let asked = 0;
  const pools = { web1: 'blue', web2: 'green' };
  const start = async (rule: Action): Promise<void> => {
    fake = await startAws({
      groups: ['blue', 'green', 'api'].map((name) => ({ name })),
      listeners: [
        { actions: [forward({ blue: 100, green: 0 })] },
        {
          protocol: 'HTTPS',
          actions: [oidc, forward({ blue: 1, green: 0 }, { Order: 2 })],
          rules: [
            { path: '/api', actions: [forward({ api: 1 })] },
            { path: '/shop', actions: [rule] },
          ],
        },
      ],
    });
    const targetGroup = { blue: 'blue', green: 'green' };
    balancer = driver(fake, { targetGroup, servers: addresses(backends) }, ['web1', 'web2'], pools);
    await balancer.change([turn('web1', 'in'), turn('web2', 'in')]);
    await vi.waitFor(
      async () =>
        expect((await balancer.observe()).servers).toMatchObject([{ health: 'up' }, { health: 'up' }]),
      { timeout: 15_000, interval: 20 },
    );
  };
  beforeEach(async () => {
    backends = [await startBackend('web1'), await startBackend('web2')];
    await start({ Type: 'forward', TargetGroupArn: groupArn('blue') });
  });
  afterEach(async () => {
    await fake.close();
    await Promise.all(backends.map((backend) => backend.close()));
  });

  flipContract(
    (): FlipLab => ({
      balancer,
      members: 1,
      // By turns over the first listener, the second one and its rule.
      ask: async () => {
        const [plain, tls] = fake.urls as [string, string];
        asked += 1;
        return (await fetch([plain, tls, `${tls}/shop`][asked % 3]!)).text();
      },
      restartMember: fake.restartApi,
    }),
    { hasShares: true },
  );

  test('a part is one change at each listener and rule, and leaves what else they do as it is', async () => {
    const changes = () => fake.requests.filter((action) => action.startsWith('Modify')).length;
    await balancer.share!('green', 5);
    expect(changes()).toBe(3);
    const { ClientSecret: _, ...shown } = oidc.AuthenticateOidcConfig!;
    expect(fake.actionsOf()).toMatchObject([
      [forward({ blue: 95, green: 5 })],
      [{ ...oidc, AuthenticateOidcConfig: shown }, forward({ blue: 95, green: 5 }, { Order: 2 })],
      [forward({ api: 1 })],
      [forward({ blue: 95, green: 5 })],
    ]);
    await balancer.share!('green', 5);
    expect(changes()).toBe(3);
  });

  test('a listener that forwards to a third group as well cannot give a part, and nothing is changed', async () => {
    await fake.close();
    await start(forward({ blue: 1, green: 0, api: 1 }));
    const before = fake.actionsOf();
    await expect(balancer.share!('green', 5)).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringContaining('a target group of neither pool') },
    });
    expect(fake.actionsOf()).toEqual(before);
  });

  test('a flip leaves what else listeners and rules do as it is', async () => {
    await balancer.flip('green');
    const { ClientSecret: _, ...shown } = oidc.AuthenticateOidcConfig!;
    expect(fake.actionsOf()).toMatchObject([
      [forward({ blue: 0, green: 100 })],
      [{ ...oidc, AuthenticateOidcConfig: shown }, forward({ blue: 0, green: 1 }, { Order: 2 })],
      [forward({ api: 1 })],
      [forward({ blue: 0, green: 1 })],
    ]);
  });

  test('where one rule goes to another pool than the rest, none is live', async () => {
    await fake.close();
    await start(forward({ green: 1 }));
    const { members } = await balancer.observe();
    expect(members).toMatchObject([{ pool: null }]);
    expect(members[0]).not.toHaveProperty('parts');
  });

  test('clients that stick to a target group would not follow a flip, so it is refused before anything is changed', async () => {
    await fake.close();
    await start(
      forward({ blue: 1, green: 0 }, { ForwardConfig: { TargetGroupStickinessConfig: { Enabled: true } } }),
    );
    const before = fake.actionsOf();
    await expect(balancer.flip('green')).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
    await expect(balancer.share!('green', 5)).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
    expect(fake.actionsOf()).toEqual(before);
  });
});

describe('the API of AWS', () => {
  let fake: FakeAws;
  beforeEach(async () => {
    fake = await startAws({
      groups: [{ name: 'web' }, { name: 'tcp', protocol: 'TCP' }],
      listeners: [{ actions: [forward({ web: 1 })] }],
    });
  });
  afterEach(() => fake.close());
  const servers = { web1: '10.0.0.1', web2: '10.0.0.2' };

  test('refuses a wrong key, and no error shows it', async () => {
    const wrong = driver(fake, {
      servers,
      credentials: { accessKeyId: 'owner', secretAccessKey: 'guessed-it' },
    });
    const error = await wrong.observe().catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringMatching(/^SignatureDoesNotMatch: /) },
    });
    expect(JSON.stringify(error)).not.toContain('guessed-it');
  });

  test('knows no other target group', async () => {
    await expect(driver(fake, { servers, targetGroup: 'wbe' }).observe()).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: {
        request: 'DescribeTargetGroups wbe',
        answer: expect.stringMatching(/^TargetGroupNotFound: /),
      },
    });
  });

  test('a Network Load Balancer is not used with less time than it takes', async () => {
    await expect(driver(fake, { servers, targetGroup: 'tcp' }).observe()).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: expect.stringContaining('set balancers.front.settle to 2m') },
    });
    const slow = driver(fake, { servers, targetGroup: 'tcp', settle: '2m' });
    expect(slow.capabilities.settleMs).toBe(120_000);
    await slow.change([turn('web1', 'in')]);
    expect((await slow.observe()).servers).toMatchObject([
      // No listener sends anything to its group.
      { node: 'web1', rotation: 'in', health: 'down' },
      { node: 'web2', rotation: 'out', sessions: 0 },
    ]);
  });
});

describe.concurrent('the API of AWS, asked too much,', () => {
  test.each([
    { times: 1, isReached: true },
    { times: 99, isReached: false },
  ])(
    'is asked again for a time: after $times refusals it is reached: $isReached',
    async ({ times, isReached }) => {
      const fake = await startAws({
        groups: [{ name: 'web' }],
        listeners: [{ actions: [forward({ web: 1 })] }],
      });
      fake.throttleNext(times);
      const { members } = await driver(fake, { servers: { web1: '10.0.0.1', web2: '10.0.0.2' } }).observe();
      await fake.close();
      const unreachable = isReached ? null : expect.stringContaining('Rate exceeded');
      expect(members).toMatchObject([{ unreachable }]);
    },
  );
});
