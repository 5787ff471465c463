import { expect, test } from 'vitest';
import { newImage, oldImage } from '../../src/simulator/fleet-world.ts';
import { fleetSite } from '../adapters/fleets/fleet-site.ts';
import { type InFleet, inFleet } from '../engine/fleet-world.ts';
import { sluice } from './fake-environment.ts';

const fleet = fleetSite({
  fleet: {
    kind: 'aws-auto-scaling',
    options: { replace: 'sluice' },
    servingMin: '100%',
    surge: '50%',
    patienceMs: 300_000,
  },
});
const inCli = <T>(work: (fleet: InFleet) => Promise<T>): Promise<T> => inFleet(work, { loads: true });
const typed = (line: string): ReturnType<typeof sluice> =>
  inCli(({ ports }) => sluice(line, { fleet, fleetPorts: ports }));

test('a deploy says each step, and what is where at the end', async () => {
  const { status, stdout } = await typed('deploy production --yes');
  expect(stdout).toContain(`deploy of production: ${oldImage} → ${newImage}`);
  expect(stdout).toContain('suspends AddToLoadBalancer');
  expect(stdout).toContain('never fewer than 3 serving');
  expect(stdout).toMatch(/drains i-0000000\d/);
  expect(stdout).toContain('3 of 3');
  expect(status).toBe(0);
});

test('on paper nothing is asked and nothing changes', () =>
  inCli(async ({ ports, world }) => {
    const { status, stdout, stderr } = await sluice('deploy production --dry-run', {
      fleet,
      fleetPorts: ports,
    });
    expect(stdout).toContain(`${oldImage} → ${newImage}`);
    expect([status, stderr, world.log()]).toEqual([0, '', []]);
    expect((await sluice(`plan production --ref ${oldImage}`, { fleet, fleetPorts: ports })).stdout).toBe(
      'Nothing to do.\n',
    );
  }));

test('status shows each instance, and what a dead run has left', () =>
  inCli(async ({ ports }) => {
    const site = { fleet, fleetPorts: ports };
    const quiet = await sluice('status shop/production', site);
    expect(quiet.stdout).toContain(
      `shop/production: ${oldImage} (launch template version 1), 3 of 3 instances serving`,
    );
    expect(quiet.stdout).toContain('Nothing stands out.');
    const stop = new AbortController();
    const run = sluice('deploy production --yes', { ...site, signal: stop.signal });
    await ports.clock.sleep(10_000);
    stop.abort('SIGINT');
    expect((await run).status).toBe(130);
    const left = await sluice('status production', site);
    expect(left.stdout).toContain('Suspended: AddToLoadBalancer');
    expect(left.stdout).toContain('sluice abort goes back');
    expect((await sluice('abort production --yes', site)).status).toBe(0);
    expect((await sluice('history production', site)).stdout).toContain(
      `deploy ${oldImage} → ${newImage}: rolled back`,
    );
  }));

test('images are taken, listed and pruned', async () => {
  expect((await typed('seed build production')).stdout).toBe(
    `Image ${newImage} of ${fleet.seed.instance}: ${newImage}.\n`,
  );
  expect((await typed('seed list production')).stdout).toContain(oldImage);
  expect((await typed('seed prune production')).stdout).toBe('Every image is needed.\n');
  expect(await typed('seed verify production newest')).toMatchObject({ status: 2 });
});

test('what is about nodes is refused, and names itself', async () => {
  const { status, stderr } = await typed('deploy production --skip-unreachable --yes');
  expect(stderr).toContain('--skip-unreachable is about nodes');
  expect(status).toBe(2);
});

test.each([['shop-web'], ['shop-blue', 'shop-green']])(
  'simulate lets environments of Elastic Beanstalk live: %s',
  async (...environment) => {
    const settings = { ...fleet.fleet, kind: 'aws-beanstalk', options: { environment } };
    const { stdout } = await sluice('simulate production --runs 5', { fleet: { ...fleet, fleet: settings } });
    expect(stdout).toContain('5 simulated lives of the fleet (seeds 1 to 5)');
  },
);

test('simulate lets the fleet live', async () => {
  expect((await typed('simulate production --runs 5')).stdout).toContain(
    '5 simulated lives of the fleet (seeds 1 to 5)',
  );
});
