import { AutoScaling } from '@aws-sdk/client-auto-scaling';
import { EC2 } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingV2 } from '@aws-sdk/client-elastic-load-balancing-v2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { fleetKinds } from '../../../src/adapters/fleets/index.ts';
import { openRun } from '../../../src/core/fleet-log.ts';
import { deployFleet, rollbackFleet } from '../../../src/engine/fleet.ts';
import { pruneMachineImages, takeMachineImage } from '../../../src/engine/machine-image.ts';
import type { Fleet, FleetPorts } from '../../../src/ports.ts';
import { type RunningMoto, startMoto } from '../../lab/moto.ts';
import { fleetSite } from './fleet-site.ts';

/**
 * Against moto, which others wrote: that it understands each question, and each of its answers is understood. Its groups start
 * instances at once, and its target groups find all healthy; the simulation has clocks.
 */
let moto: RunningMoto;
let fleet: Fleet;
let seed: string;
const access = () => ({
  region: 'eu-west-1',
  endpoint: moto.endpoint,
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
});
const signal = new AbortController().signal;
const siteNow = () => fleetSite({ seed: { instance: seed, reboot: false, checks: [], timeoutMs: 10_000 } });

function portsOf(): FleetPorts {
  let nowMs = 1_800_000_000_000;
  let drawn = 0;
  return {
    // Nobody waits for moto: it has no time.
    clock: {
      nowMs: () => nowMs,
      async sleep(ms) {
        nowMs += ms;
      },
    },
    random: { hex: () => `${process.pid}${drawn++}` },
    http: { ready: async () => {}, request: async () => ({ status: 200, body: '' }) },
    operator: { name: 'ann@laptop' },
    emit: () => {},
    fleet,
  };
}

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
  const { region, endpoint } = access();
  const options = { group: 'shop web', replace: 'sluice', region, endpoint, profile: null, timeout: 5000 };
  const { Secret } = await import('../../../src/core/secret.ts');
  const credentials = { accessKeyId: 'any', secretAccessKey: new Secret('any'), sessionToken: null };
  fleet = fleetKinds['aws-auto-scaling'].create({ ...options, credentials }, siteNow());
});
afterAll(async () => {
  fleet?.close();
  await moto?.stop();
});

test('an image is taken of the seed, rolled out, and taken back', async () => {
  const site = siteNow();
  const image = await takeMachineImage(site, portsOf(), signal);
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
  expect(await deployFleet({ ...request, ref: 'newest' }, portsOf())).toMatchObject({
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
  expect(await deployFleet({ ...request, ref: image.id }, portsOf())).toMatchObject({
    outcome: 'nothing to do',
  });

  expect(await rollbackFleet({ ...request, to: null }, portsOf())).toMatchObject({
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
  const gone = await pruneMachineImages({ ...siteNow(), keepReleases: 2 }, portsOf(), signal);
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
  const { standing } = await import('../../../src/core/fleet-log.ts');
  expect(standing(await fleet.log.read(signal)).at(-1)!.number).toBe(last + 1);
  expect(await fleet.log.append(entry, 0, signal)).not.toBe(1);
  await fleet.log.beat('7 abc', signal);
  expect(await fleet.log.lastBeat(signal)).toBe('7 abc');
});

test('a group that is not fit, or not there, is refused', async () => {
  const other = fleetKinds['aws-auto-scaling'].create(
    { ...access(), credentials: null, profile: null, timeout: 5000, group: 'none', replace: 'sluice' },
    siteNow(),
  );
  await expect(other.observe(signal)).rejects.toMatchObject({
    code: expect.stringMatching(/FLEET_(UNFIT|REFUSED)/),
  });
});
