import { afterEach, expect, test } from 'vitest';
import { fleetKinds } from '../../../src/adapters/fleets/index.ts';
import { Secret } from '../../../src/core/secret.ts';
import { deployFleet } from '../../../src/engine/fleet.ts';
import { type FakeAwsFleet, startAwsFleet } from '../../lab/aws-fleet.ts';
import { fleetSite } from './fleet-site.ts';
import { portsWith } from './memory.ts';

const site = fleetSite();
const signal = new AbortController().signal;
const request = { site, signal, confirm: async () => true, ref: 'ami-00000002' };

let aws: FakeAwsFleet;
const clock = { nowMs: 1_800_000_000_000 };
afterEach(() => aws.close());

async function fleetOf() {
  aws = await startAwsFleet({ nowMs: () => clock.nowMs });
  return fleetKinds['aws-auto-scaling'].create(
    {
      group: 'web',
      replace: 'refresh',
      region: 'eu-west-1',
      profile: null,
      endpoint: aws.url,
      timeout: 5000,
      credentials: { accessKeyId: 'any', secretAccessKey: new Secret('any'), sessionToken: null },
    },
    site,
  );
}

test('an instance refresh replaces all, and nothing stays suspended', async () => {
  const ports = portsWith(await fleetOf(), clock);
  expect(await deployFleet(request, ports)).toMatchObject({ outcome: 'done', exit: 0, failure: null });
  expect(aws.model.machines.map(({ image }) => image)).toEqual(
    Array.from({ length: 3 }, () => 'ami-00000002'),
  );
  expect([...aws.model.suspended]).toEqual([]);
  expect(aws.requests.filter((action) => /Processes|StartInstance|CancelInstance/.test(action))).toEqual([
    'SuspendProcesses',
    'StartInstanceRefresh',
    'ResumeProcesses',
  ]);
});

test('an instance that does not answer its checks cancels the refresh, and another one goes back', async () => {
  const ports = portsWith(await fleetOf(), clock, (url) => (url.includes('ami-00000002') ? 500 : 200));
  expect(await deployFleet(request, ports)).toMatchObject({
    outcome: 'rolled back',
    exit: 1,
    failure: { code: 'CHECK_FAILED' },
  });
  expect(aws.model.machines.every(({ image }) => image === 'ami-00000001')).toBe(true);
  expect(aws.requests.filter((action) => /StartInstance|CancelInstance/.test(action))).toEqual([
    'StartInstanceRefresh',
    'CancelInstanceRefresh',
    'StartInstanceRefresh',
  ]);
  expect([...aws.model.suspended]).toEqual([]);
});

test('a group without target groups is refused where sluice would replace', async () => {
  await fleetOf();
  const own = fleetKinds['aws-auto-scaling'].create(
    {
      group: 'web',
      replace: 'sluice',
      region: 'eu-west-1',
      profile: null,
      endpoint: aws.url,
      timeout: 5000,
      credentials: { accessKeyId: 'any', secretAccessKey: new Secret('any'), sessionToken: null },
    },
    site,
  );
  await expect(own.observe(signal)).rejects.toThrow('it has no target group, in which sluice could let');
});
