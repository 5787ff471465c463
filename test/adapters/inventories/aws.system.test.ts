import { AutoScaling } from '@aws-sdk/client-auto-scaling';
import { EC2 } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingV2 } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inventoryKinds } from '../../../src/adapters/inventories/index.ts';
import { parseFields } from '../../../src/core/field.ts';
import { type RunningMoto, startMoto } from '../../lab/moto.ts';

/** Against moto, which others wrote: that it understands each question, and each of its answers is understood. */
let moto: RunningMoto;
let ec2: EC2;
const client = () => ({
  region: 'eu-west-1',
  endpoint: moto.endpoint,
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
});
const listOf = (kind: 'auto-scaling-group' | 'target-group' | 'tags', options: object) => {
  const { options: fields, create } = inventoryKinds[kind];
  const read = parseFields(fields, { ...client(), ...options });
  if (!read.ok) throw new Error(read.problems.join());
  return create(read.value, { directory: '/', env: {} });
};
const run = async (tags: Readonly<Record<string, string>>, count = 1): Promise<readonly string[]> => {
  const Tags = Object.entries(tags).map(([Key, Value]) => ({ Key, Value }));
  const { Instances } = await ec2.runInstances({
    ImageId: 'ami-12c6146b',
    MinCount: count,
    MaxCount: count,
    TagSpecifications: [{ ResourceType: 'instance', Tags }],
  });
  return Instances!.map(({ InstanceId }) => InstanceId!).toSorted();
};

beforeAll(async () => {
  moto = await startMoto();
  ec2 = new EC2(client());
});
afterAll(() => moto?.stop());

test('instances with tags are nodes by their ids, those that do not run are none', async () => {
  const [web] = await run({ Role: 'web', Env: 'live', Colour: 'blue', Empty: '' });
  await run({ Role: 'web', Env: 'test' });
  const [stopped] = await run({ Role: 'web', Env: 'live' });
  await ec2.stopInstances({ InstanceIds: [stopped!] });
  const list = listOf('tags', { tags: { Role: 'web', Env: 'live' } });
  expect(list.shown).toBe('the instances of EC2 with Role=web Env=live');
  expect(await list.list(20_000)).toEqual([
    {
      name: web,
      address: expect.stringMatching(/^10\.|^172\./),
      labels: { Role: 'web', Env: 'live', Colour: 'blue', 'instance-id': web },
    },
  ]);
  expect(await listOf('tags', { tags: { Role: 'none' } }).list(20_000)).toEqual([]);
  const [open] = await listOf('tags', { tags: { Env: 'test' }, address: 'public' }).list(20_000);
  expect(open).toMatchObject({ address: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/) });
});

test('an Auto Scaling group is those of its instances that are in service', async () => {
  const api = new AutoScaling(client());
  await api.createLaunchConfiguration({
    LaunchConfigurationName: 'web',
    ImageId: 'ami-12c6146b',
    InstanceType: 't2.micro',
  });
  await api.createAutoScalingGroup({
    AutoScalingGroupName: 'shop-web',
    LaunchConfigurationName: 'web',
    MinSize: 3,
    MaxSize: 3,
    AvailabilityZones: ['eu-west-1a'],
  });
  const { AutoScalingGroups } = await api.describeAutoScalingGroups({});
  const ids = AutoScalingGroups![0]!.Instances!.map(({ InstanceId }) => InstanceId!);
  await api.enterStandby({
    AutoScalingGroupName: 'shop-web',
    InstanceIds: [ids[0]!],
    ShouldDecrementDesiredCapacity: true,
  });
  const namesOf = async (options: object) =>
    (await listOf('auto-scaling-group', { group: 'shop-web', ...options }).list(20_000)).map(
      (node) => (node as { name: string }).name,
    );
  expect(await namesOf({})).toEqual(ids.slice(1).toSorted());
  expect(await namesOf({ states: ['InService', 'Standby'] })).toEqual(ids.toSorted());
  await expect(
    listOf('auto-scaling-group', { group: ['shop-web', 'shop-wep'] }).list(20_000),
  ).rejects.toThrow(
    'The list of nodes could not be read from the Auto Scaling group shop-web and shop-wep: there is no group shop-wep.',
  );
});

test('a target group is what is registered in it, by instance or by address', async () => {
  const api = new ElasticLoadBalancingV2(client());
  const make = async (Name: string, TargetType: 'instance' | 'ip', targets: readonly string[]) => {
    const { TargetGroups } = await api.createTargetGroup({
      Name,
      Protocol: 'HTTP',
      Port: 80,
      TargetType,
      VpcId: await moto.vpc(),
    });
    await api.registerTargets({
      TargetGroupArn: TargetGroups![0]!.TargetGroupArn!,
      Targets: targets.map((Id) => ({ Id })),
    });
  };
  const ids = await run({ Role: 'target' }, 2);
  await make('by-instance', 'instance', ids);
  await make('by-address', 'ip', ['10.0.0.9', '10.0.0.8']);
  const [first, second] = await listOf('target-group', { targetGroup: 'by-instance' }).list(20_000);
  expect([first, second]).toMatchObject(ids.map((name) => ({ name, labels: { Role: 'target' } })));
  expect(await listOf('target-group', { targetGroup: 'by-address' }).list(20_000)).toEqual([
    '10.0.0.8',
    '10.0.0.9',
  ]);
  await expect(listOf('target-group', { targetGroup: 'by-name' }).list(20_000)).rejects.toThrow(
    /TargetGroupNotFound/,
  );
});

test('who does not answer in time is told of as that', async () => {
  await expect(
    listOf('tags', { tags: { a: 'b' }, endpoint: 'http://127.0.0.1:9', timeout: '200ms' }).list(1500),
  ).rejects.toMatchObject({ code: 'NODES_UNLISTED' });
});
