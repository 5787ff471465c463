import { afterEach, expect, test } from 'vitest';
import { fleetKinds } from '../../../src/adapters/fleets/index.ts';
import { Secret } from '../../../src/core/secret.ts';
import { deployFleet, rollbackFleet } from '../../../src/engine/fleet.ts';
import { type AwsFleetSetup, type FakeAwsFleet, startAwsFleet } from '../../lab/aws-fleet.ts';
import { fleetSite } from './fleet-site.ts';
import { image, portsWith } from './memory.ts';

const [old, fresh] = ['ami-00000001', 'ami-00000002'];
const [visitors, other] = ['shop.elasticbeanstalk.com', 'other.elasticbeanstalk.com'];
const rolling = 'aws:autoscaling:updatepolicy:rollingupdate';
const immutable = {
  [`${rolling}/RollingUpdateEnabled`]: 'true',
  [`${rolling}/RollingUpdateType`]: 'Immutable',
};
const site = fleetSite({
  fleet: { kind: 'aws-beanstalk', options: {}, servingMin: '100%', surge: '100%', patienceMs: 900_000 },
});
const signal = new AbortController().signal;
const request = { site, signal, confirm: async () => true };

let aws: FakeAwsFleet;
const clock = { nowMs: 1_800_000_000_000 };
afterEach(() => aws.close());

async function fleetOf(names: readonly string[], setup: Partial<AwsFleetSetup> = {}) {
  aws = await startAwsFleet({
    nowMs: () => clock.nowMs,
    environments: names.map((name, i) => ({ name, image: old, cname: i === 0 ? visitors : other })),
    settings: immutable,
    ...setup,
  });
  return fleetKinds['aws-beanstalk'].create(
    {
      application: 'shop',
      environment: names,
      cname: visitors,
      region: 'eu-west-1',
      profile: null,
      endpoint: aws.url,
      timeout: 5000,
      credentials: { accessKeyId: 'any', secretAccessKey: new Secret('any'), sessionToken: null },
    },
    site,
  );
}

test('an environment gets the image, its events are told, and it goes back by rollback', async () => {
  const ports = portsWith(await fleetOf(['shop-blue']), clock);
  expect(await deployFleet({ ...request, ref: fresh }, ports)).toMatchObject({ outcome: 'done', exit: 0 });
  expect(aws.model.environments[0]).toMatchObject({ image: fresh, health: 'Green' });
  expect(ports.said).toContain('AWS: shop-blue INFO: Environment update is starting.');
  expect(ports.said).toContain('AWS: shop-blue INFO: Environment update completed.');
  expect(await rollbackFleet({ ...request, to: null }, ports)).toMatchObject({ outcome: 'done' });
  expect(aws.model.environments[0]).toMatchObject({ image: old });
});

test('an update that Elastic Beanstalk takes back is a failure, although it is Ready and Green', async () => {
  const ports = portsWith(await fleetOf(['shop-blue'], { badImage: fresh }), clock);
  expect(await deployFleet({ ...request, ref: fresh }, ports)).toMatchObject({
    outcome: 'rolled back',
    exit: 1,
    failure: { code: 'FLEET_FAILED', message: expect.stringContaining('took shop-blue back to') },
  });
});

test('an image of another environment, or of none, is refused before anything changes', async () => {
  const fleet = await fleetOf(['shop-blue']);
  await expect(fleet.admit(image(fresh, 'shop-green'))).rejects.toMatchObject({
    code: 'IMAGE_ELSEWHERE',
  });
  const report = await deployFleet({ ...request, ref: 'ami-00000003' }, portsWith(fleet, clock));
  expect(report).toMatchObject({ outcome: 'refused', exit: 2, failure: { code: 'IMAGE_ELSEWHERE' } });
  expect(aws.requests).not.toContain('UpdateEnvironment');
});

test.each([
  [{}, 'RollingUpdateEnabled is not true'],
  [{ ...immutable, [`${rolling}/RollingUpdateType`]: 'Time' }, 'waits for no health'],
  [
    {
      ...immutable,
      [`${rolling}/RollingUpdateType`]: 'Health',
      [`${rolling}/MinInstancesInService`]: '2',
      'aws:autoscaling:asg/MinSize': '4',
    },
    'MinInstancesInService is 2, and servingMin asks for 4',
  ],
])('rolling updates that would go below the floor are refused: %j', async (settings, problem) => {
  const fleet = await fleetOf(['shop-blue'], { settings });
  await expect(fleet.observe(signal)).rejects.toThrow(problem);
});

test('of two the one that is not live gets the image, and then the name', async () => {
  const ports = portsWith(await fleetOf(['shop-blue', 'shop-green'], { settings: {} }), clock);
  expect(await deployFleet({ ...request, ref: fresh }, ports)).toMatchObject({ outcome: 'done', exit: 0 });
  expect(aws.model.environments).toMatchObject([
    { name: 'shop-blue', image: old, cname: other },
    { name: 'shop-green', image: fresh, cname: visitors },
  ]);
  expect(await rollbackFleet({ ...request, to: null }, ports)).toMatchObject({ outcome: 'done' });
  expect(aws.model.environments[0]).toMatchObject({ image: old, cname: visitors });
  expect(aws.requests.filter((action) => action === 'UpdateEnvironment')).toHaveLength(1);
});

test('the names stay where they are if the other one does not answer its checks', async () => {
  const fleet = await fleetOf(['shop-blue', 'shop-green']);
  const ports = portsWith(fleet, clock, (url) => (url.includes('shop-green') ? 500 : 200));
  expect(await deployFleet({ ...request, ref: fresh }, ports)).toMatchObject({
    outcome: 'rolled back',
    exit: 1,
  });
  expect(aws.requests).not.toContain('SwapEnvironmentCNAMEs');
});

test('a change of somebody else that is under way passes, and is waited for', async () => {
  const ports = portsWith(await fleetOf(['shop-blue']), clock);
  aws.model.environments[0]!.readyAtMs = clock.nowMs + 60_000;
  await expect(
    ports.fleet.perform({ kind: 'update', environment: 'shop-blue', image: fresh }, signal),
  ).rejects.toMatchObject({ code: 'FLEET_UNREACHABLE' });
  expect(await deployFleet({ ...request, ref: fresh }, ports)).toMatchObject({ outcome: 'done' });
});
