import { AutoScaling } from '@aws-sdk/client-auto-scaling';
import { EC2 } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingV2 } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createFleetPorts } from '../../../bin/ports.ts';
import type { OpenFleetPorts } from '../../../src/cli/environment.ts';
import { parseFleet } from '../../../src/config/fleet-site.ts';
import type { FleetSite } from '../../../src/core/fleet.ts';
import { openRun, standing } from '../../../src/core/fleet-log.ts';
import { deployFleet, rollbackFleet } from '../../../src/engine/fleet.ts';
import { pruneMachineImages, takeMachineImage } from '../../../src/engine/machine-image.ts';
import type { Fleet, FleetPorts } from '../../../src/ports.ts';
import { noFiles, registries } from '../../config/parsing.ts';
import { type RunningMoto, startMoto } from '../../lab/moto.ts';
import { clockOf } from './memory.ts';

/**
 * Against moto, which others wrote: that it understands each question, and each of its answers is understood. Its groups start
 * instances at once, and its target groups find all healthy; the simulation has clocks.
 */
let moto: RunningMoto;
let ports: OpenFleetPorts;
let fleet: Fleet;
let seed: string;
const access = () => ({
  region: 'eu-west-1',
  endpoint: moto.endpoint,
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
});
const signal = new AbortController().signal;
const siteNow = (group = 'shop web'): FleetSite => {
  const { region, endpoint } = access();
  const config = {
    name: 'shop',
    source: { seed: { instance: seed, reboot: false } },
    fleet: {
      kind: 'aws-auto-scaling',
      group,
      region,
      endpoint,
      surge: '50%',
      credentials: { accessKeyId: 'any', secretAccessKey: { env: 'KEY' } },
    },
    checks: [{ path: '/up' }],
    stages: { production: {} },
  };
  const env = { KEY: 'any' };
  const site = parseFleet(config, {
    stage: 'production',
    file: '/sluice.config.ts',
    registries,
    env,
    readFile: noFiles,
  });
  if (!site.ok) throw new Error(site.problems.join('\n'));
  return site.value;
};

let drawn = 0;
/** Nobody waits for moto, which has no time, or asks its machines, which answer nothing. */
const portsNow = (): FleetPorts => ({
  ...ports,
  clock: clockOf({ nowMs: 1_800_000_000_000 + drawn * 60_000 }),
  random: { hex: () => `run${drawn++}` },
  http: { request: async () => ({ status: 200, body: '' }) },
  operator: { ...ports.operator, name: 'ann@laptop' },
});

beforeAll(async () => {
  moto = await startMoto();
  [seed = ''] = await moto.runInstances(1);
  const [VpcId, subnets] = [await moto.vpc(), await moto.subnets()];
  const { TargetGroups } = await new ElasticLoadBalancingV2(access()).createTargetGroup({
    Name: 'web',
    Protocol: 'HTTP',
    Port: 80,
    VpcId,
  });
  await new EC2(access()).createLaunchTemplate({
    LaunchTemplateName: 'web',
    LaunchTemplateData: { ImageId: 'ami-12c6146b', InstanceType: 't3.micro' },
  });
  await new AutoScaling(access()).createAutoScalingGroup({
    AutoScalingGroupName: 'shop web',
    LaunchTemplate: { LaunchTemplateName: 'web', Version: '$Latest' },
    MinSize: 2,
    MaxSize: 3,
    DesiredCapacity: 3,
    VPCZoneIdentifier: subnets[0]!,
    TargetGroupARNs: [TargetGroups![0]!.TargetGroupArn!],
  });
  ports = await createFleetPorts(siteNow(), { emit: () => {}, env: {} });
  fleet = ports.fleet;
});
afterAll(async () => {
  await ports?.close();
  await moto?.stop();
});

test('an image is taken of the seed, rolled out, and taken back', async () => {
  const site = siteNow();
  const image = await takeMachineImage(site, portsNow(), signal);
  expect(image).toMatchObject({ state: 'available', by: 'ann@laptop', environment: null });
  const before = await fleet.observe(signal);
  expect(before).toMatchObject({
    kind: 'group',
    place: { image: 'ami-12c6146b', version: '1' },
    capacity: { min: 2, desired: 3, max: 3 },
    suspended: [],
  });
  const instances = 'instances' in before ? before.instances : [];
  expect(instances).toHaveLength(3);
  expect(instances[0]).toMatchObject({ phase: 'in service', traffic: 'in', healthy: true });

  const request = { site, signal, confirm: async () => true };
  expect(await deployFleet({ ...request, ref: 'newest' }, portsNow())).toMatchObject({
    outcome: 'done',
    exit: 0,
    failure: null,
  });
  const after = await fleet.observe(signal);
  expect(after).toMatchObject({
    place: { image: image.id, version: '2' },
    capacity: { min: 2, desired: 3, max: 3 },
    suspended: [],
  });
  const now = 'instances' in after ? after.instances.filter(({ phase }) => phase === 'in service') : [];
  expect(now.map((one) => [one.image, one.traffic])).toEqual(
    Array.from({ length: 3 }, () => [image.id, 'in']),
  );
  expect(await deployFleet({ ...request, ref: image.id }, portsNow())).toMatchObject({
    outcome: 'nothing to do',
  });

  expect(await rollbackFleet({ ...request, to: null }, portsNow())).toMatchObject({
    outcome: 'done',
    exit: 0,
  });
  expect(await fleet.observe(signal)).toMatchObject({ place: { image: 'ami-12c6146b', version: '1' } });
  expect(openRun(await fleet.log.read(signal))).toBeNull();
});

test('images that nobody needs are pruned', async () => {
  for (let i = 0; i < 3; i++) await fleet.images.take({ name: `more-${i}`, by: 'ann', checks: 1 }, signal);
  expect(await fleet.images.take({ name: 'more-2', by: 'ann', checks: 1 }, signal)).toBe(
    (await fleet.images.list(signal)).find(({ name }) => name === 'more-2')!.id,
  );
  const gone = await pruneMachineImages({ ...siteNow(), keepReleases: 2 }, portsNow(), signal);
  expect(gone).toHaveLength(2);
  expect(await fleet.images.list(signal)).toHaveLength(2);
  expect(await fleet.images.read(gone[0]!.id, signal)).toMatchObject({ state: 'gone' });
});

test('of two that write after the same entry, one stands', async () => {
  const log = await fleet.log.read(signal);
  const last = Math.max(...log.map(({ number }) => number));
  const { number, after, ...entry } = log[0]!;
  const got = await Promise.all(
    [1, 2].map((i) => fleet.log.append({ ...entry, by: `writer ${i}` }, last, signal)),
  );
  expect(got.toSorted()).toEqual([last + 1, last + 2]);
  expect(standing(await fleet.log.read(signal)).at(-1)!.number).toBe(last + 1);
  expect(await fleet.log.append(entry, 0, signal)).not.toBe(1);
  await fleet.log.beat('7 abc', signal);
  expect(await fleet.log.lastBeat(signal)).toBe('7 abc');
});

test('a group that there is not is refused', async () => {
  const other = (await createFleetPorts(siteNow('none'), { emit: () => {}, env: {} })).fleet;
  await expect(other.observe(signal)).rejects.toThrow('there is no such group');
  other.close();
});
