import { EC2 } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancing } from '@aws-sdk/client-elastic-load-balancing';
import { ElasticLoadBalancingV2 } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Balancer, Transport } from '../../../src/ports.ts';
import { turn } from '../../contracts/balancer.ts';
import { type RunningMoto, startMoto } from '../../lab/moto.ts';
import { addressOf } from '../addresses/kinds.ts';
import { balancerOf } from './balancer-of.ts';

/**
 * Against moto, which others wrote: that it understands each question, and each of its answers is understood. It has no
 * draining, no checks and no traffic; `aws.test.ts` and `aws-classic.test.ts` have.
 */
let moto: RunningMoto;
let instances: readonly string[];
const client = () => ({
  region: 'eu-west-1',
  endpoint: moto.endpoint,
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
});
const nodes = ['web1', 'web2'];
const driver = (kind: 'aws' | 'aws-classic', options: object): Balancer =>
  balancerOf(kind, { ...client(), ...options }, { nodes, pools: { web1: 'blue', web2: 'green' } });
const serversByName = () => ({ web1: instances[0], web2: instances[1] });

beforeAll(async () => {
  moto = await startMoto();
  instances = await moto.runInstances(2);
});
afterAll(() => moto?.stop());

test('target groups, listeners and rules are read, changed and flipped', async () => {
  const api = new ElasticLoadBalancingV2(client());
  const VpcId = await moto.vpc();
  const arnOf = async (Name: string) =>
    (await api.createTargetGroup({ Name, Protocol: 'HTTP', Port: 80, VpcId })).TargetGroups![0]!
      .TargetGroupArn!;
  const [blue, green] = [await arnOf('blue'), await arnOf('green')];
  const Subnets = (await moto.subnets()).slice(0, 2);
  const { LoadBalancers } = await api.createLoadBalancer({ Name: 'front', Subnets });
  const forward = (weights: readonly number[]) => ({
    Type: 'forward' as const,
    ForwardConfig: {
      TargetGroups: [blue, green].map((TargetGroupArn, i) => ({ TargetGroupArn, Weight: weights[i]! })),
    },
  });
  const { Listeners } = await api.createListener({
    LoadBalancerArn: LoadBalancers![0]!.LoadBalancerArn!,
    Protocol: 'HTTP',
    Port: 80,
    DefaultActions: [forward([100, 0])],
  });
  await api.createRule({
    ListenerArn: Listeners![0]!.ListenerArn!,
    Priority: 1,
    Conditions: [{ Field: 'path-pattern', Values: ['/shop/*'] }],
    Actions: [{ Type: 'forward', TargetGroupArn: blue }],
  });

  const balancer = driver('aws', { targetGroup: { blue: 'blue', green }, servers: serversByName() });
  await balancer.change([turn('web1', 'in'), turn('web2', 'in')]);
  const before = await balancer.observe();
  expect(before.members).toMatchObject([{ unreachable: null, pool: 'blue' }]);
  expect(before.servers).toMatchObject([
    { node: 'web1', server: `front blue/${instances[0]}`, rotation: 'in', health: 'up', sessions: null },
    { node: 'web2', server: `front green/${instances[1]}`, rotation: 'in', health: 'up', sessions: null },
  ]);

  await balancer.change([turn('web1', 'out')]);
  expect((await balancer.observe()).servers).toMatchObject([{ rotation: 'out' }, { rotation: 'in' }]);
  await balancer.flip('green');
  expect((await balancer.observe()).members).toMatchObject([{ pool: 'green' }]);
  const { Rules } = await api.describeRules({ ListenerArn: Listeners![0]!.ListenerArn! });
  const weights = Rules!.map(({ Actions }) =>
    Object.fromEntries(
      Actions![0]!.ForwardConfig!.TargetGroups!.map((one) => [one.TargetGroupArn, one.Weight]),
    ),
  );
  expect(weights).toContainEqual({ [blue]: 0, [green]: 100 });
  expect(weights).toContainEqual({ [blue]: 0, [green]: 1 });
  await balancer.share!('blue', 5);
  expect((await balancer.observe()).members).toMatchObject([{ pool: null }]);
  await balancer.flip('blue');
  expect((await balancer.observe()).members).toMatchObject([{ pool: 'blue' }]);

  await expect(
    driver('aws', { targetGroup: 'red', servers: serversByName() }).observe(),
  ).rejects.toMatchObject({
    code: 'BALANCER_REFUSED',
    details: { answer: expect.stringMatching(/^TargetGroupNotFound: /) },
  });
});

test('classic load balancers are read and changed', async () => {
  const api = new ElasticLoadBalancing(client());
  await api.createLoadBalancer({
    LoadBalancerName: 'classic',
    AvailabilityZones: ['eu-west-1a'],
    Listeners: [{ Protocol: 'HTTP', LoadBalancerPort: 80, InstancePort: 80 }],
  });
  const balancer = driver('aws-classic', { loadBalancer: 'classic', servers: serversByName() });
  await expect(balancer.observe()).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
  await api.modifyLoadBalancerAttributes({
    LoadBalancerName: 'classic',
    LoadBalancerAttributes: { ConnectionDraining: { Enabled: true, Timeout: 30 } },
  });
  await balancer.change([turn('web1', 'in'), turn('web2', 'in')]);
  expect((await balancer.observe()).servers).toMatchObject([
    { node: 'web1', rotation: 'in', health: 'up' },
    { node: 'web2', rotation: 'in', health: 'up' },
  ]);
  await balancer.change([turn('web2', 'out')]);
  expect((await balancer.observe()).servers).toMatchObject([
    { rotation: 'in' },
    { rotation: 'out', sessions: 0 },
  ]);
});

test('an Elastic IP address is found, and moves from an instance to an interface and back', async () => {
  const api = new EC2(client());
  const { PublicIp } = await api.allocateAddress({ Domain: 'vpc' });
  const { Reservations } = await api.describeInstances({ InstanceIds: [instances[1]!] });
  const [card] = Reservations![0]!.Instances![0]!.NetworkInterfaces!;
  const address = addressOf(
    'aws',
    { ip: PublicIp, instances: { lb1: instances[0], lb2: card!.NetworkInterfaceId }, ...client() },
    {} as Transport,
  );
  expect(await address.holders()).toMatchObject({ ip: PublicIp, holders: [], unasked: [] });
  for (const to of ['lb1', 'lb2', 'lb1']) {
    await address.move!(to);
    expect((await address.holders()).holders).toEqual([to]);
  }
  await api.releaseAddress({ PublicIp });
  expect((await address.holders()).unasked[0]?.reason).toContain('InvalidAddress.NotFound');
});
