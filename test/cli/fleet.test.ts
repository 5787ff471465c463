import { describe, expect, test } from 'vitest';
import { commandEntries, flags } from '../../src/cli/commands/index.ts';
import type { FleetPorts } from '../../src/ports.ts';
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
    expect(left.stdout).toContain(`sluice abort production goes back to ${oldImage}`);
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

test.each([
  ['drain production web1', /^sluice drain works on nodes, .*\nhint: put an instance into standby/],
  ['enable production web1', /^sluice enable works on nodes, .*\nhint: an instance comes back from standby/],
  ['cron production', /^sluice cron works on nodes, .*\nhint: let a scheduler/],
  ['flip production', /^sluice flip works on nodes, .*\nhint: two environments of Elastic Beanstalk/],
  ['sync production', /^sluice sync works on nodes, .*\nhint: AWS makes new machines/],
  ['unlock production', /^sluice unlock works on nodes, .*\nhint: sluice resume or sluice abort/],
  ['maintenance production on', /^sluice maintenance works on nodes, .*\nhint: turn visitors away at/],
  ['balancers production', /^sluice balancers works on nodes, .*\nhint: sluice status shows/],
  [
    'deploy production --skip-unreachable --yes',
    /^--skip-unreachable works on nodes, .*\nhint: all machines/,
  ],
  ['deploy production --plan plan.json', /^--plan works on nodes, .*\nhint: .* name the image by --ref/],
  ['deploy production --batch 2 --yes', /^--batch works on nodes, .*\nhint: fleet\.surge says/],
  ['deploy production --take-over resume', /^--take-over works on nodes, .*\nhint: say sluice resume or/],
  ['plan production --out plan.json', /^--out works on nodes/],
  ['rollback production --across-irreversible', /^--across-irreversible works on nodes/],
  ['status production --drift', /^--drift works on nodes, .*\nhint: all machines of a fleet have one image/],
])('%s is refused, and says what to do instead', async (line, words) => {
  const { status, stderr, stdout } = await typed(line);
  expect(stderr).toMatch(words);
  expect([status, stdout]).toEqual([2, '']);
});

test('every command knows a fleet, but those that know no site', async () => {
  const strangers = ['init', 'schema'];
  const operands: Readonly<Record<string, string>> = {
    drain: 'production web1',
    enable: 'production web1',
    maintenance: 'production on',
    seed: 'list production',
    simulate: 'production --runs 1',
  };
  for (const { name } of commandEntries.filter((entry) => !strangers.includes(entry.name))) {
    const { calls, stderr } = await typed(`${name} ${operands[name] ?? 'production'}`);
    // Whoever reads the config as one of nodes does not know fleets.
    expect([name, calls, stderr.includes('A bug')]).toEqual([name, [], false]);
  }
});

test('every flag of a command is taken, or refused with a reason of its own', async () => {
  const known = ['deploy', 'plan', 'rollback', 'resume', 'abort', 'promote', 'status', 'history', 'check'];
  const entries = commandEntries.filter(({ name }) => known.includes(name));
  for (const { name, flags: own } of entries)
    for (const [shape] of own.map((flag) => flags[flag])) {
      if (shape.includes('--watch')) continue;
      const flag = shape.replace(/^-., /, '').replace(/<.*>/, '10m');
      const { stderr } = await typed(`${name} production ${flag}`);
      expect(`${name} ${flag}: ${stderr}`).not.toContain('the README says');
    }
});

test('check says whether a deploy could begin, and what would be rolled out', () =>
  inCli(async ({ ports }) => {
    const site = { fleet, fleetPorts: ports };
    const ready = await sluice('check shop/production', site);
    expect(ready).toMatchObject({ status: 0, stderr: '' });
    expect(ready.stdout).toBe(
      `Ready: shop/production can be deployed to (now ${oldImage} (launch template version 1), 3 of 3 instances serving; next ${newImage}).\n`,
    );
    const read = async () => ({ ...(await ports.fleet.images.read(newImage)), state: 'gone' as const });
    const images = { ...ports.fleet.images, read };
    const unknown = await sluice('check production', {
      fleet: { ...fleet, ref: 'ami-0f' },
      fleetPorts: { ...ports, fleet: { ...ports.fleet, images } },
    });
    expect(unknown).toMatchObject({ status: 2, stdout: '' });
    expect(unknown.stderr).toContain('The site is not ready (1 problem):\n  There is no image ami-0f');
    const stop = new AbortController();
    const run = sluice('deploy production --yes', { ...site, signal: stop.signal });
    await ports.clock.sleep(10_000);
    stop.abort('SIGINT');
    await run;
    const open = await sluice('check production --json', site);
    expect(JSON.parse(open.stdout)).toMatchObject({
      ready: false,
      problems: [`The deploy from ${oldImage} to ${newImage} by ann@laptop is under way.`],
      image: { id: newImage },
    });
    expect(open.status).toBe(2);
  }));

test('releases are the images', async () => {
  expect((await typed('releases production')).stdout).toBe((await typed('seed list production')).stdout);
  expect(JSON.parse((await typed('releases production --json')).stdout)[0]).toMatchObject({ id: newImage });
});

test('status --watch looks again until it is stopped', () =>
  inCli(async ({ ports }) => {
    const stop = new AbortController();
    const watching = sluice('status production --watch', { fleet, fleetPorts: ports, signal: stop.signal });
    await ports.clock.sleep(5000);
    stop.abort('SIGINT');
    const { status, stdout } = await watching;
    expect(status).toBe(0);
    expect(stdout.match(/3 of 3 instances serving/g)?.length).toBeGreaterThan(1);
  }));

describe('the last words name what to type next, with the site as it was named:', () => {
  const interrupted = async (ports: FleetPorts, line: string, afterMs: number) => {
    const stop = new AbortController();
    const run = sluice(line, { fleet, fleetPorts: ports, signal: stop.signal });
    await ports.clock.sleep(afterMs);
    stop.abort('SIGTERM');
    return run;
  };

  test('of a run that is interrupted, and of the one that goes on', () =>
    inCli(async ({ ports }) => {
      const first = await interrupted(ports, 'deploy shop/production --yes', 10_000);
      expect(first.status).toBe(143);
      expect(first.stderr).toContain('SIGTERM: the step under way ends first.');
      const next = `  next:
    sluice resume shop/production  goes on where this run stopped
    sluice abort shop/production   back to ${oldImage}
`;
      expect(first.stdout).toContain(next);
      // Until it is sure that the first one is dead, it has nothing to leave.
      const second = await interrupted(ports, 'resume shop/production --yes', 40_000);
      expect(second.stdout).toContain(next);
    }));

  test('of a run that is held', () =>
    inFleet(
      async ({ ports }) => {
        const { status, stdout } = await sluice('deploy production --yes', {
          fleet: { ...fleet, onFailure: 'hold' },
          fleetPorts: ports,
        });
        expect(status).toBe(4);
        expect(stdout).toContain(`  next:
    sluice promote production  goes on
    sluice abort production    back to ${oldImage}
`);
      },
      { image: 'wrong', loads: true },
    ));

  test('of a run that lost the fleet to another, nothing that would disturb that one', () =>
    inCli(async ({ ports }) => {
      const site = { fleet, fleetPorts: ports };
      const first = sluice('deploy production --yes', site);
      await ports.clock.sleep(10_000);
      const second = await sluice('abort production --force --yes', site);
      expect(second.stdout).toContain(`deploy of production goes back: ${newImage} → ${oldImage}`);
      expect(second.status).toBe(0);
      const { status, stdout } = await first;
      expect(status).toBe(3);
      expect(stdout).toContain('  next:\n    sluice status production  what is where now\n');
      expect(stdout).not.toContain('sluice resume production');
    }));
});

test('resume, promote and abort ask first', async () => {
  for (const command of ['resume', 'promote', 'abort']) {
    const { status, stderr } = await typed(`${command} production`);
    expect([status, stderr]).toEqual([
      2,
      `${command} asks before it changes anything, and this is no terminal: add --yes.\n`,
    ]);
  }
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
