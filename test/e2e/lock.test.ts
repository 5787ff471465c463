import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { isDeployError } from '../../src/core/errors.ts';
import type { Observation } from '../../src/core/observation.ts';
import { byHand } from '../../src/engine/by-hand.ts';
import { observe } from '../../src/engine/observe.ts';
import { chance } from '../core/fleet.ts';
import { eventsOfType, nodesOfSteps } from '../lab/events.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { type LabOperator, operatorOf } from '../lab/operator.ts';
import type { LabSite } from '../lab/site.ts';
import { onNode } from '../lab/ssh.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 4 });
});
afterAll(() => lab?.stop());

const underWay = /"step-started".*"kind":"hook"/;

test('S25: a second deploy is refused at once and told who holds the lock', async () => {
  const site = await lab.site({ name: 's25', nodes: 3 });
  const gate = site.gate();
  await site.configure({ hooks: { 'before:deploy': [gate.hook] } });
  const first = site.startDeploy('good-1', '--json');
  await first.printed(underWay);

  const second = await site.deploy('good-2');
  expect(second.exit).toBe(5);
  const [{ host, startedAt, holder }] = [JSON.parse((await lockOf(site))[1]!)];
  for (const part of [holder, host, startedAt, 'deploy good-1']) expect(second.output).toContain(part);
  expect(second.output).toMatch(/as \d{14}/);

  await gate.open();
  const ended = await first.ended;
  expect(ended.exit, ended.output).toBe(0);
  expect((await site.ask(site.node('web1'), '/'))?.body).toContain('version good-1');
});

test('S26: the loser does not release the lock of the winner', async () => {
  const unlocking = { run: 'rm -f .sluice/lock ../../.sluice/lock /srv/s26/.sluice/lock' };
  const site = await lab.site({ name: 's26', nodes: 3 });
  const gate = site.gate();
  const failed = [unlocking, { ...unlocking, on: 'operator' }];
  await site.configure({ hooks: { 'before:deploy': [gate.hook], failed } });
  const first = site.startDeploy('good-1', '--json');
  await first.printed(underWay);
  const held = await lockOf(site);
  expect(await site.deploy('good-2')).toMatchObject({ exit: 5 });
  expect(await lockOf(site)).toEqual(held);
  expect(await site.locked()).toEqual(['web1', 'web2', 'web3']);
  await gate.open();
  expect(await first.ended).toMatchObject({ exit: 0 });
  expect(await site.locked()).toEqual([]);
});

test('S27: an ordinary failure frees the lock, and the next deploy starts', async () => {
  const site = await lab.site({ name: 's27', nodes: 2 });
  await site.deployed('good-1');
  expect(await site.deploy('badrestart')).toMatchObject({ exit: 1 });
  expect(await site.locked()).toEqual([]);
  expect(await site.deploy('good-2')).toMatchObject({ exit: 0 });
});

test.for([
  { signal: 'SIGINT', exit: 130, moment: 'drain' },
  { signal: 'SIGINT', exit: 130, moment: 'activate' },
  { signal: 'SIGTERM', exit: 143, moment: 'check' },
  { signal: 'SIGTERM', exit: 143, moment: 'prepare' },
  { signal: 'SIGTERM', exit: 143, moment: 'build' },
  { signal: 'SIGINT', exit: 130, moment: 'enable' },
] as const)(
  'S28: after $signal in the middle of $moment no node is left out, and the lock is free',
  async (row) => {
    const site = await lab.site({ name: `s28-${row.signal}-${row.moment}`.toLowerCase(), nodes: 3 });
    const first = await site.deployed('good-1');
    const run = site.startDeploy('good-2', '--json');
    await run.printed(new RegExp(`"step-started".*"kind":"${row.moment}"`));
    run.signal(row.signal);
    const ended = await run.ended;

    expect(ended.exit, ended.output).toBe(row.exit);
    expect(await site.rotation()).toEqual({ web1: 'UP', web2: 'UP', web3: 'UP' });
    expect(await site.locked()).toEqual([]);
    // What runs is what is said to be live, on every node; those that the deploy had not reached have the old release.
    const [live, reached] = [await site.live(), nodesOfSteps(ended, 'activate').flat()];
    expect(await site.served()).toEqual(live);
    const kept = Object.entries(live).filter(([name]) => !reached.includes(name));
    expect(kept.map(([name]) => name)).toContain('web3');
    for (const [name, release] of kept) expect(release, name).toBe(first);
    const { report } = eventsOfType(ended, 'run-ended')[0]!;
    expect(report.outcome).toBe('interrupted');
    expect(Object.fromEntries(report.nodes!.map(({ name, release }) => [name, release]))).toEqual(live);
    expect(await site.deploy('good-2')).toMatchObject({ exit: 0 });
  },
);

test.for(['activate', 'check'])(
  'a deploy that was killed in %s blocks the next one until the lock is broken; that one then leaves no node out',
  async (moment) => {
    const site = await lab.site({ name: `killed-in-${moment}`, nodes: 3 });
    await site.deployed('good-1');
    // The node is not put back before it is killed.
    const run = site.startDeploy('slowstart', '--json');
    await run.printed(new RegExp(`"step-started".*"kind":"${moment}"`));
    run.signal('SIGKILL');
    await run.ended;
    expect(await site.rotation()).toEqual({ web1: 'MAINT', web2: 'UP', web3: 'UP' });

    expect(await site.deploy('good-2')).toMatchObject({ exit: 5 });
    expect(await site.sluice('unlock', 'production', '--yes', '--reason', 'its runner died')).toMatchObject({
      exit: 0,
    });
    expect((await site.sluice('history', 'production')).output).toContain('its runner died');
    await site.deployed('good-2');
    expect(await site.rotation()).toEqual({ web1: 'UP', web2: 'UP', web3: 'UP' });
    expect(await site.served()).toEqual(await site.live());
  },
);

test('S30: a deploy that meets a lock on one node leaves none on the others', async () => {
  const site = await lab.site({ name: 's30', nodes: 4, kind: 'files' });
  await site.deployed('good-1');
  const web3 = site.node('web3');
  const lock = {
    holder: 'alice@laptop',
    host: 'laptop',
    reason: 'deploy main',
    startedAt: '2026-01-01T00:00:00.000Z',
  };
  await onNode(
    lab,
    web3,
    `cd /srv/s30/.sluice && printf '%s\\n' other-run '${JSON.stringify(lock)}' > lock && date +%s > heartbeat`,
  );
  const refused = await site.deploy('good-2');
  expect(refused.exit).toBe(5);
  expect(refused.output).toContain('alice@laptop');
  expect(await site.locked()).toEqual(['web3']);
  expect(await site.read(web3, '.sluice/lock')).toContain('other-run');
});

test('S30: of two that take the lock together exactly one gets it, 50 times', {
  timeout: 900_000,
}, async () => {
  const site = await filesSite('s30-lock');
  const operators = await Promise.all([operatorOf(lab, site), operatorOf(lab, site)]);
  const first = await observe(operators[0]!.config, operators[0]!.ports);
  const random = chance(30);
  const winners = new Set<number>();
  for (let trial = 1; trial <= 50; trial++) {
    const raced = await race(site, { operators, first, random });
    // Who had it had it alone, and everywhere.
    expect(raced.held, `trial ${trial}`).toEqual([everywhere(site, raced.ids)]);
    expect(raced.refused, `trial ${trial}`).toEqual(['LOCKED']);
    expect(await locks(site), `trial ${trial}`).toEqual(everywhere(site, []));
    winners.add(raced.winner);
  }
  expect(winners).toEqual(new Set([0, 1]));
  for (const { ports } of operators) await ports.close();
});

test('S30: of two whose configs list the nodes the other way round never both get the lock, and nothing of it stays', async () => {
  const site = await filesSite('s30-opposite');
  const one = await operatorOf(lab, site);
  await site.configure({ nodes: (site.usual.nodes as readonly unknown[]).toReversed() });
  const operators = [one, await operatorOf(lab, site)];
  const first = await observe(one.config, one.ports);
  const random = chance(31);
  for (let trial = 1; trial <= 10; trial++) {
    const raced = await race(site, { operators, first, random });
    expect(raced.ids.length, `trial ${trial}`).toBeLessThanOrEqual(1);
    expect(raced.refused.length + raced.ids.length, `trial ${trial}`).toBe(2);
    for (const code of raced.refused) expect(['LOCKED', 'LOCK_RACE'], `trial ${trial}`).toContain(code);
    expect(await locks(site), `trial ${trial}`).toEqual(everywhere(site, []));
  }
  for (const { ports } of operators) await ports.close();
});

test('S30: of two deploys that start together exactly one wins, 5 times', async () => {
  const site = await filesSite('s30-deploy');
  const gate = site.gate();
  await site.configure({ hooks: { 'before:deploy': [gate.hook, { run: 'exit 9', on: 'operator' }] } });
  for (let trial = 1; trial <= 5; trial++) {
    const both = [1, 2].map(() => site.startDeploy('good-1').ended);
    // Who wins holds the lock until the other one has ended.
    await Promise.race(both);
    await gate.open();
    const ended = await Promise.all(both);
    const shown = ended.map(({ output }) => output).join('\n---\n');
    // It had the lock, or its hook would not have failed.
    expect(ended.map(({ exit }) => exit).sort(), `trial ${trial}\n${shown}`).toEqual([1, 5]);
    expect(await site.locked()).toEqual([]);
    await gate.close();
  }
});

test('S31: the lock is the same whatever nodes are chosen', async () => {
  const site = await lab.site({ name: 's31', nodes: 4 });
  const gate = site.gate();
  await site.configure({ hooks: { 'before:deploy': [gate.hook] }, servingMin: 1 });
  const first = site.startDeploy('good-1', '--nodes', 'web1,web2', '--json');
  await first.printed(underWay);
  expect(await site.locked()).toEqual(['web1', 'web2', 'web3', 'web4']);
  const second = await site.deploy('good-2', '--nodes', 'web3,web4');
  expect(second.exit).toBe(5);
  expect(second.output).toContain('deploy good-1');
  await gate.open();
  expect(await first.ended).toMatchObject({ exit: 0 });
  expect(await site.live()).toMatchObject({ web3: null, web4: null });
});

/** The lines of the lock on the first node: the run, and who holds it. */
const lockOf = async (site: LabSite): Promise<readonly string[]> =>
  ((await site.read(site.nodes[0]!, '.sluice/lock')) ?? '').split('\n');

const filesSite = (name: string): Promise<LabSite> => lab.site({ name, nodes: 4, kind: 'files' });

interface Raced {
  /** The runs that got the lock. */
  readonly ids: readonly string[];
  /** What each of them saw on the nodes once the other operator had ended. */
  readonly held: readonly Readonly<Record<string, readonly string[]>>[];
  /** The operator that got it last. */
  readonly winner: number;
  /** Why the others did not get it. */
  readonly refused: readonly string[];
}

interface Race {
  readonly operators: readonly LabOperator[];
  /** What was seen of the site before. */
  readonly first: Observation;
  readonly random: () => number;
}

/** All take the lock at the same time, give or take some milliseconds; who gets it keeps it until another one has ended. */
async function race(site: LabSite, { operators, first, random }: Race): Promise<Raced> {
  const ids: string[] = [];
  const held: Readonly<Record<string, readonly string[]>>[] = [];
  let winner = -1;
  const takings = operators.map(async ({ config, ports }, index) => {
    await sleep(random() * leadMsMax);
    const { signal } = new AbortController();
    await byHand(
      config,
      ports,
      { first, reason: 'race', force: false, flag: '--force', signal },
      async ({ id }) => {
        ids.push(id);
        winner = index;
        await Promise.race([...takings, sleep(patienceMs, undefined, { ref: false })]).catch(() => {});
        held.push(await locks(site));
        return null;
      },
    );
  });
  const refused = (await Promise.allSettled(takings)).flatMap((taking) =>
    taking.status === 'rejected'
      ? [isDeployError(taking.reason) ? taking.reason.code : `${taking.reason}`]
      : [],
  );
  return { ids, held, winner, refused };
}

const leadMsMax = 10;
/** Should both have it, neither ends. */
const patienceMs = 20_000;

/** The runs whose locks, or what becomes a lock, are on each node. */
async function locks(site: LabSite): Promise<Readonly<Record<string, readonly string[]>>> {
  const found = site.nodes.map(async (node) => {
    const files = (await readdir(site.path(node, '.sluice'))).filter((name) => name.startsWith('lock'));
    const texts = await Promise.all(files.map((name) => site.read(node, '.sluice', name)));
    return [node.name, texts.map((text) => (text ?? '').split('\n')[0]!)] as const;
  });
  return Object.fromEntries(await Promise.all(found));
}

const everywhere = <T>(site: LabSite, value: T): Readonly<Record<string, T>> =>
  Object.fromEntries(site.nodes.map(({ name }) => [name, value]));
