import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { servingNodes } from '../../src/core/observation.ts';
import { observe } from '../../src/engine/observe.ts';
import { chance } from '../core/fleet.ts';
import type { CliResult } from '../lab/cli.ts';
import { begin, type Fault } from '../lab/faults.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { deployUser, sshPort } from '../lab/nodes.ts';
import { operatorOf } from '../lab/operator.ts';
import type { LabSite } from '../lab/site.ts';
import { clients } from '../lab/watch.ts';

const sites = 6;
const nodesPerSite = 3;
const roundsPerSite = 10;

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: sites * nodesPerSite, diskBytes: 8 * 1024 * 1024 });
});
afterAll(() => lab?.stop());

test('a reload of HAProxy by itself fails no request', async () => {
  const site = await lab.site({ name: 'reloads', nodes: nodesPerSite });
  await site.deployed('good-1');
  const traffic = await clients(site.balancer!, { workers: 8, slow: 4, slowMs: 500, pauseMs: 5 });
  for (let reload = 0; reload < 10; reload++) {
    await sleep(200);
    await site.balancer!.reload();
  }
  await traffic.reach(501);
  const { failures, requests } = await traffic.stop();
  expect(failures).toEqual([]);
  expect(requests).toBeGreaterThan(500);
});

test(`killed at ${sites * roundsPerSite} random instants under traffic and faults, every run is finished or taken back`, {
  timeout: 1_800_000,
}, async () => {
  const made: LabSite[] = [];
  for (let index = 0; index < sites; index++) made.push(await makeSite(index));
  const results = await Promise.allSettled(made.map((site, index) => liveThrough(site, 100 + index)));
  const errors = results.flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  if (errors.length > 0) throw new AggregateError(errors, errors.join('\n\n'));
});

const makeSite = (index: number): Promise<LabSite> =>
  lab.site({
    name: `killed-${index + 1}`,
    nodes: nodesPerSite,
    after: index * nodesPerSite,
    settings: { drain: { timeout: '10s' } },
  });

/** A run gives a node up while that is silent. Who goes on once all is mended has the usual patience. */
const hasty = {
  drain: { timeout: '3s' },
  ssh: { user: deployUser.name, port: sshPort, connectTimeout: '700ms', keepAlive: '300ms', attempts: 2 },
};

const faults: readonly Fault[] = [
  'none',
  'reload',
  'ssh',
  'connections',
  'full disk',
  'reload',
  'machine',
  'none',
];
/** These last until they are mended. */
const lasts: ReadonlySet<Fault> = new Set(['ssh', 'connections', 'machine', 'full disk']);
const faultMs = 1200;
const signals = ['SIGKILL', 'SIGKILL', 'SIGTERM', 'SIGINT'] as const;

/** Deploys and rollbacks of one site, one after the other; each is killed while something else goes wrong. */
async function liveThrough(site: LabSite, seed: number): Promise<void> {
  const random = chance(seed);
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random() * all.length)]!;
  await site.deployed('good-1');
  let typicalMs = (await site.startDeploy('good-2').ended).tookMs;
  const traffic = await clients(site.balancer!, {
    workers: 2,
    slow: 2,
    slowMs: 400,
    pauseMs: 40,
    // HAProxy does not log what fails on a connection that had an answer before.
    keepAlive: 'never',
  });
  for (let round = 0; round < roundsPerSite; round++) {
    const forward = ['deploy', 'production', '--yes', '--ref', round % 2 === 0 ? 'good-1' : 'good-2'];
    const plan = {
      args: random() < 0.3 ? ['rollback', 'production', '--yes'] : forward,
      fault: faults[(round + seed) % faults.length]!,
      node: pick(site.nodes),
      faultAtMs: random() * typicalMs,
      signal: pick(signals),
      signalAtMs: random() * typicalMs,
      way: pick(['resume', 'abort'] as const),
      early: random() < 0.3,
    };
    const { ended, told } = await survive(site, plan);
    await expectWhole(site, `seed ${seed}, round ${round}, ${told}`);
    if (ended.exit === 0 && plan.fault === 'none') typicalMs = ended.tookMs;
  }
  const shownBy = async (): Promise<unknown> =>
    JSON.parse((await site.elsewhere('status', 'production', '--json')).stdout);
  await expectSeen(site, shownBy, `seed ${seed}, at the end`);
  const { failed, failures, truncated } = await traffic.stop();
  const shown = `seed ${seed}: ${JSON.stringify(failures)}, and ${JSON.stringify(site.balancer!.spilled())}`;
  // What HAProxy writes may come a moment later.
  await expect.poll(() => site.balancer!.spilled().length, { message: shown, timeout: 30_000 }).toBe(failed);
  expect(truncated, shown).toBe(0);
}

interface Round {
  readonly args: readonly string[];
  readonly fault: Fault;
  readonly node: LabSite['nodes'][number];
  readonly faultAtMs: number;
  readonly signal: NodeJS.Signals;
  readonly signalAtMs: number;
  readonly way: 'resume' | 'abort';
  /** Whether going on is tried before the fault is mended: that may fail, and does no harm. */
  readonly early: boolean;
}

/** One run with its fault and its signal, and whoever goes on for it. */
async function survive(site: LabSite, round: Round): Promise<{ ended: CliResult; told: string }> {
  const { args, fault, node, signal, way } = round;
  const known = site.balancer!.spilled().length;
  const story = [`${fault} on ${node.name} after ${Math.round(round.faultAtMs)} ms`];
  const tell = (what: string, { exit, output }: CliResult): void =>
    void story.push(`${what} ended with ${exit}:\n${output}`);
  const goOn = async (): Promise<number | null> => {
    const after = await site.elsewhere(way, 'production', '--yes', '--force');
    tell(way, after);
    return after.exit;
  };
  /** What a run that needs a person says is next. */
  const again = async (): Promise<number | null> => {
    const after = await site.elsewhere(...args);
    tell('the same again', after);
    return after.exit;
  };

  await site.configure(hasty);
  const run = site.start(...args);
  const faulty = sleep(round.faultAtMs).then(async () => {
    const under = await begin(fault, site, node);
    return { ...under, over: sleep(lasts.has(fault) ? faultMs : 0) };
  });
  await Promise.race([sleep(round.signalAtMs), run.ended]);
  run.signal(signal);
  const early = round.early && run.ended.then(async () => (await site.locked()).length > 0 && goOn());
  const { excused, over, mend } = await faulty;
  await Promise.all([early, over]);
  await mend();
  const ended = await run.ended;
  await Promise.all(site.nodes.map((each) => each.idle()));
  await site.configure({});
  tell(`${args[0]}, ${signal} after ${Math.round(round.signalAtMs)} ms,`, ended);
  if ((await site.locked()).length > 0) expect(await goOn(), story.join('\n')).toBe(0);
  else if (ended.exit === 3) expect(await again(), story.join('\n')).toBe(0);
  const told = story.join('\n');
  const spilled = site.balancer!.spilled().slice(known);
  expect(
    spilled.filter(({ server }) => !excused.has(server)),
    told,
  ).toEqual([]);
  return { ended, told };
}

/** Nothing is left behind, all nodes serve what is live on them, and an operator who looks sees that. */
async function expectWhole(site: LabSite, told: string): Promise<void> {
  const names = site.nodes.map(({ name }) => name);
  const everywhere = <T>(value: T): Record<string, T> =>
    Object.fromEntries(names.map((name) => [name, value]));
  // A server that was just put back, or whose HAProxy just started, may still have checks to pass.
  await expect.poll(() => site.rotation(), { timeout: 30_000, message: told }).toEqual(everywhere('UP'));
  const live = await site.live();
  expect(await site.served(), told).toEqual(live);
  expect(await site.locked(), told).toEqual([]);
  await expectSeen(site, () => seen(site), told);
  for (const node of site.nodes) {
    const left = [...(await files(site, node, '.sluice')), ...(await files(site, node, '.sluice/incoming'))];
    expect(
      left.filter((name) => /^\d{14}|\.new$|^lock/.test(name)),
      told,
    ).toEqual([]);
    for (const id of await site.releases(node))
      expect(await site.read(node, '.sluice/releases', id), `${id} on ${node.name}, ${told}`).toMatch(
        /^complete /,
      );
  }
}

/** What `sluice status --json` is made of, read by connections that know of no fault before. */
async function seen(site: LabSite): Promise<unknown> {
  const { config, ports } = await operatorOf(lab, site);
  try {
    const observed = await observe(config, ports);
    return { serving: servingNodes(observed), ...observed };
  } finally {
    await ports.close();
  }
}

async function expectSeen(site: LabSite, look: () => Promise<unknown>, told: string): Promise<void> {
  const names = site.nodes.map(({ name }) => name);
  const live = await site.live();
  await expect.poll(look, { timeout: 30_000, interval: 500, message: told }).toMatchObject({
    serving: names,
    nodes: Object.fromEntries(
      names.map((name) => [
        name,
        { unreachable: null, current: { kind: 'release', id: live[name] }, lock: null, drained: [] },
      ]),
    ),
    servers: names.map((node) => ({ node, rotation: 'in', health: 'up' })),
  });
}

const files = (site: LabSite, node: LabSite['nodes'][number], folder: string): Promise<readonly string[]> =>
  readdir(site.path(node, folder)).catch(() => []);
