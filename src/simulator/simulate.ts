import { mayHaveCron } from '../core/cron.ts';
import { isDeployError } from '../core/errors.ts';
import type { Report } from '../core/event.ts';
import type { NodeName } from '../core/node.ts';
import { locksIn } from '../core/observation.ts';
import type { ReleaseId } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import type { Strategy } from '../core/strategy.ts';
import { moveCron } from '../engine/cron.ts';
import { abort, deploy, flip, type NodeLists, promote, resume, rollback, sync } from '../engine/deploy.ts';
import { setRotation } from '../engine/manual.ts';
import { observe } from '../engine/observe.ts';
import { unlock } from '../engine/unlock.ts';
import type { Ports } from '../ports.ts';
import { newAddress } from './address.ts';
import { notConverged } from './checkers/converges.ts';
import { type Broken, type Watcher, watch } from './checkers/index.ts';
import { somethingDone } from './checkers/nothing-to-do.ts';
import { leftBehind } from './checkers/others-go-on.ts';
import { type NextTurn, virtualClock } from './clock.ts';
import { type Coverage, countTraits, newCoverage } from './coverage.ts';
import { startCrons } from './cron.ts';
import { boot, bringBack, comeUp, scheduleDisturbances } from './disturbances.ts';
import { drawFaults, type FaultMix, faultsOf, noFaults } from './faults.ts';
import { holdBack, listedSite, onlyOf } from './late.ts';
import type { SimulatedNode } from './node.ts';
import { portsOf } from './ports.ts';
import { type SeededRandom, seededRandom } from './random.ts';
import {
  type Behaviour,
  drawBalancers,
  drawHolder,
  drawNode,
  drawReleases,
  drawSite,
  revisionOf,
  startMs,
} from './scenario.ts';
import { type Doom, isUnderWay, noDoom, reportOf, type Session, type SessionCommand } from './session.ts';
import { startTraffic } from './traffic.ts';
import { startWorkers } from './workers.ts';
import { flipMember, isPooled, mistrust, newWorld, rotate, serves, type World } from './world.ts';

export interface Simulation {
  readonly seed: number;
  readonly nextTurn: NextTurn;
  /** The strategy of the seed, and the most nodes that it takes out at once. */
  readonly strategy: (random: SeededRandom, nodes: number) => DrawnStrategy;
  /** How balancers behave, by their kind; default: all are drawn. */
  readonly kinds?: Readonly<Record<string, Behaviour>>;
  /** The number of nodes; default: 1 to 8, by the seed. */
  readonly nodes?: number;
  /** Over what the seed draws. */
  readonly site?: Partial<Site>;
  /** Instead of what the seed draws. */
  readonly faults?: Partial<FaultMix>;
  /** What becomes of the first run; default: by the seed's mix. */
  readonly doom?: Doom;
  readonly command?: 'deploy' | 'rollback' | 'flip' | 'flip back';
  /** How what died is dealt with once all is healed; default: by the seed. */
  readonly goesOn?: 'resume' | 'abort';
  /** False: no trace, which is faster; default: true. */
  readonly isTraced?: boolean;
  /** A fault in sluice itself, to see that a checker finds it. */
  readonly mutant?: Mutant;
}

export interface DrawnStrategy {
  readonly strategy: Strategy;
  /** What a person falls back on where that has no safe plan, such as a canary in a fleet that is down. */
  readonly otherwise?: Strategy;
  readonly batchMax: number;
  /** It gives a pool parts of the traffic, which an address cannot do. */
  readonly givesParts?: boolean;
}

/** Stands between the engine and its ports, and makes it as wrong as a bug would. */
export interface Mutant {
  readonly ports?: (ports: Ports, world: World, session: Session) => Ports;
  readonly site?: (site: Site) => Site;
  /** As its list has it when that is read again. */
  readonly relisted?: (site: Site) => Site;
  readonly strategy?: (strategy: Strategy) => Strategy;
  readonly report?: (report: Report) => Report;
}

export interface Simulated {
  readonly seed: number;
  /** Promises that were broken; empty: all is well. */
  readonly broken: readonly Broken[];
  readonly trace: readonly string[];
  /** How each call of the engine ended, such as `deploy: done`. */
  readonly ends: readonly string[];
  readonly struck: ReadonlyMap<string, number>;
  /** What was met: kinds of steps, and commands in each state of the site, such as `abort, empty node`. */
  readonly covered: ReadonlySet<string>;
  /** Calls of ports that the first run made, in order. */
  readonly calls: readonly string[];
}

/**
 * One life of a site: a run under faults, perhaps a second one beside it; then everything is healed, what died is
 * resumed or aborted, and a deploy must bring all of it live; and one more must find nothing to do.
 */
export async function simulate(simulation: Simulation): Promise<Simulated> {
  const stage = setStage(simulation);
  const { world, watcher } = stage;
  const first = await underFaults(stage);
  if (watcher.broken.length === 0) await healed(stage);
  return {
    seed: simulation.seed,
    broken: watcher.broken,
    trace: world.trace,
    ends: world.sessions.map(endOf),
    struck: world.faults.struck,
    covered: stage.coverage.marks,
    calls: first.calls,
  };
}

interface Stage {
  readonly simulation: Simulation;
  readonly world: World;
  readonly watcher: Watcher;
  readonly coverage: Coverage;
  readonly random: SeededRandom;
  strategy: Strategy;
  readonly otherwise: Strategy | null;
  readonly batchMax: number;
  /** Commands that somebody is still to begin. */
  expected: number;
}

function setStage(simulation: Simulation): Stage {
  const random = seededRandom(simulation.seed);
  const nodes = simulation.nodes ?? random.fork('nodes').integer({ min: 1, max: 8 });
  const drawnStrategy = simulation.strategy(random.fork('strategy'), nodes);
  const { strategy, otherwise = null, batchMax, givesParts = false } = drawnStrategy;
  const hasPools = strategy.flips === true;
  const drawn = drawSite(random.fork('site'), { nodes, batchMax, hasPools, givesParts });
  // An address that was drawn floats among the balancers that were drawn.
  const addresses = simulation.site?.balancers ? [] : drawn.addresses;
  const site = { ...drawn, addresses, ...simulation.site };
  const mix = simulation.faults ? { ...noFaults, ...simulation.faults } : drawFaults(random.fork('mix'));
  const past = {
    releases: drawReleases(random.fork('releases')),
    startsAtOnce: site.checks.length === 0,
    joins: mix.joins,
  };
  const disks = random.fork('disks');
  const watcher = watch();
  const coverage = newCoverage();
  const world: World = newWorld(
    {
      site,
      clock: virtualClock(startMs, simulation.nextTurn),
      random: random.fork('world'),
      faults: faultsOf(mix, random.fork('faults')),
      nodes: new Map(site.nodes.map((node) => [node.name, drawNode(disks, node, past)])),
      balancers: drawBalancers(random.fork('balancers'), site, simulation.kinds ?? {}),
      addresses: site.addresses.map(newAddress),
      batchMax,
      isTraced: simulation.isTraced ?? true,
      repository: { head: revisionOf(100), brokenOn: new Map(), errsAt: new Map() },
    },
    (event) => {
      watcher.see(event);
      coverage.see(world, event);
    },
  );
  const broken = random.fork('broken');
  world.repository.brokenOn.set(
    revisionOf(100),
    site.nodes.flatMap(({ name }) => (broken.chance(mix.brokenRelease) ? [name] : [])),
  );
  if (mix.erringRelease > 0) world.repository.errsAt.set(revisionOf(100), mix.erringRelease);
  for (const node of world.nodes.values()) {
    if (node.disk.current !== null) continue;
    for (const member of world.members) mistrust(world, member, node.name);
  }
  countTraits(world);
  drawHolder(random.fork('cron'), site, world.nodes.values());
  holdBack(world, random.fork('late'));
  watcher.begin(world);
  startCrons(world);
  startWorkers(world);
  startTraffic(world, { gapMs: random.fork('traffic').pick([40, 120, 400]) });
  return { simulation, world, watcher, coverage, random, strategy, otherwise, batchMax, expected: 0 };
}

/** The first phase: anything may happen, and every promise holds. */
async function underFaults(stage: Stage): Promise<Session> {
  const { simulation, world, random } = stage;
  const { mix } = world.faults;
  scheduleDisturbances(world, 40_000);
  const drawn = random.fork('doom');
  const doom: Doom = simulation.doom ?? {
    death: mix.killAtCall === null ? null : { atCall: mix.killAtCall, isSent: drawn.chance(0.7) },
    signal:
      mix.signalAtCall === null
        ? null
        : { atCall: mix.signalAtCall, name: drawn.pick(['SIGINT', 'SIGTERM']) },
  };
  const command = simulation.command ?? drawFirst(stage, drawn);
  const first = start(stage, command, doom);
  const later = (command: SessionCommand): void => {
    stage.expected++;
    world.clock.wakeAfter(drawn.integer({ min: 0, max: 60_000 }), () => {
      stage.expected--;
      if (command !== 'unlock') world.faults.strike('second run');
      start(stage, command, noDoom);
    });
  };
  for (let n = 0; n < mix.secondRuns; n++)
    later(drawn.pick(isPooled(world) ? [...secondCommands, ...flips, ...flips, ...flips] : secondCommands));
  for (let n = 0; n < mix.brokenLocks; n++) later('unlock');
  await untilAllEnded(stage);
  return first;
}

const drawFirst = ({ world }: Stage, drawn: SeededRandom): SessionCommand => {
  const command = drawn.chance(0.75) ? 'deploy' : 'rollback';
  return isPooled(world) && drawn.chance(0.3) ? drawn.pick(flips) : command;
};

const flips = ['flip', 'flip back'] as const;

/** What somebody else may begin at any time. */
const secondCommands: readonly SessionCommand[] = [
  'deploy',
  'rollback',
  'drain',
  'enable',
  'resume',
  'abort',
  'promote',
  'sync',
  'cron',
];

/** A run that takes longer, beside what it is to wait, is said never to end. */
const endsWithinMs = 30 * 60_000;

async function untilAllEnded(stage: Stage): Promise<void> {
  const { world, watcher } = stage;
  const startMs = world.clock.passedMs();
  const isOver = (): boolean =>
    watcher.broken.length > 0 || (stage.expected === 0 && !world.sessions.some(isUnderWay));
  if (await world.clock.run({ isOver, untilMs: startMs + endsWithinMs })) return;
  const longest = Math.max(0, ...world.sessions.filter(isUnderWay).map(holdsMs));
  if (await world.clock.run({ isOver, untilMs: startMs + endsWithinMs + longest })) return;
  const minutes = (endsWithinMs + longest) / 60_000;
  for (const session of world.sessions.filter(isUnderWay)) {
    watcher.complain('always-ends', `${session.name} has not ended after ${minutes} minutes`);
  }
}

/** How long the strategy has the run wait, if each time begins anew once. */
const holdsMs = ({ plan }: Session): number =>
  (plan?.steps ?? []).reduce((sum, { step }) => sum + 2 * (step.kind === 'hold' ? (step.forMs ?? 0) : 0), 0);

/** The second phase: nothing fails any more, so everything must come right. */
async function healed(stage: Stage): Promise<void> {
  const { world, watcher, random } = stage;
  const drawn = random.fork('healing');
  await pass(stage, 30_000);
  heal(stage, drawn);
  await pass(stage, 40_000);
  await withoutTheLost(stage, drawn);
  await freeLocks(stage, drawn);
  await pass(stage, 10_000);
  if (watcher.broken.length > 0) return;
  if (isPooled(world) && drawn.chance(0.3)) await startAndWait(stage, drawn.pick(flips));
  let last = await deployAgain(stage);
  if (reportOf(last)?.failure?.code === 'POOLS_DIFFER') {
    await bringTogether(stage);
    last = await deployAgain(stage);
  }
  if (reportOf(last)?.failure?.code === 'PLAN_UNSAFE' && stage.otherwise) {
    stage.strategy = stage.otherwise;
    last = await startAndWait(stage, 'deploy');
  }
  for (let holds = 0; holds < holdsMax && reportOf(last)?.outcome === 'held'; holds++)
    last = await startAndWait(stage, 'promote');
  const wrong = notConverged(world, last);
  if (wrong !== null) watcher.complain('converges', wrong);
  if (watcher.broken.length > 0) return;
  const again = await startAndWait(stage, 'deploy');
  const done = somethingDone(again);
  if (done !== null) watcher.complain('nothing-to-do', done);
}

/** Where what was shown is no longer so, it asks to be run again. */
async function deployAgain(stage: Stage): Promise<Session> {
  const first = await startAndWait(stage, 'deploy');
  return reportOf(first)?.failure?.code === 'SITE_CHANGED' ? startAndWait(stage, 'deploy') : first;
}

/** More than any strategy of a seed has. */
const holdsMax = 10;

/** Balancers that forgot a flip are told by another. */
async function bringTogether(stage: Stage): Promise<void> {
  const { world } = stage;
  if (reportOf(await startAndWait(stage, 'flip'))?.exit === 0) return;
  flipTogether(world);
}

/** By hand, where a flip would not find what it needs. */
function flipTogether(world: World): void {
  const pool = world.members[0]?.pool;
  if (pool) for (const member of world.members) flipMember(world, member, pool, 'operator');
}

/** Machines that are lost do not keep the others from being left well; then they are found, or built anew. */
async function withoutTheLost(stage: Stage, drawn: SeededRandom): Promise<void> {
  const { world, watcher } = stage;
  const lost = [...world.nodes.values()].filter(({ isGone }) => isGone);
  if (lost.length === 0 || watcher.broken.length > 0) return;
  if (isLocked(world)) await startAndWait(stage, 'unlock');
  flipTogether(world);
  for (const node of leftBehind(world)) {
    if (watcher.broken.length === 0) await startAndWait(stage, 'enable', node);
  }
  for (const name of leftBehind(world)) watcher.complain('others-go-on', `${name} does not serve`);
  await withoutTheirCron(stage, lost);
  for (const node of lost) bringBack(world, node, drawn.pick(['found', 'rebuilt']));
  await pass(stage, 40_000);
}

/** Somebody sees that a machine is off for good, and lets another run the jobs that it ran. */
async function withoutTheirCron(stage: Stage, lost: readonly SimulatedNode[]): Promise<void> {
  const { world } = stage;
  if (!lost.some(({ disk }) => disk.cronSince !== null)) return;
  const able = [...world.nodes.values()].find(
    ({ name, isGone, disk }) => !isGone && disk.current !== null && mayHaveCron(world.site, name),
  );
  if (able) await startAndWait(stage, 'cron', able.name);
}

async function startAndWait(stage: Stage, command: SessionCommand, node?: NodeName): Promise<Session> {
  const session = start(stage, command, noDoom, node);
  await untilAllEnded(stage);
  return session;
}

/** What a dead run left is finished, taken back or freed; now and then whoever does that dies as well. */
async function freeLocks(stage: Stage, drawn: SeededRandom): Promise<void> {
  const { world, watcher } = stage;
  const { goesOn } = stage.simulation;
  const drawCommand = (): SessionCommand =>
    goesOn ?? drawn.pick<SessionCommand>(['resume', 'abort', 'unlock']);
  let command = drawCommand();
  for (let deaths = 0; isLocked(world) && watcher.broken.length === 0; ) {
    const dies = goesOn === undefined && deaths < 2 && drawn.chance(0.3);
    const death = dies ? { atCall: drawn.integer({ min: 1, max: 60 }), isSent: drawn.chance(0.7) } : null;
    const session = start(stage, command, { death, signal: null });
    await untilAllEnded(stage);
    if (session.isDead) {
      deaths++;
      command = drawCommand();
      await pass(stage, 40_000);
      continue;
    }
    const refusal = reportOf(session)?.failure?.code;
    // What the lock says is of no use any more: of work by hand, of a machine that was built anew, or of another time.
    if (refusal === 'NOT_RESUMABLE') command = 'unlock';
    // Whoever held it left it to a person, who has seen the heartbeats stop.
    else if (refusal === 'HELD' || reportOf(session)?.outcome === 'held')
      command = drawn.pick(['promote', 'abort']);
    // The database no longer fits what was there before: the deploy that follows brings what does.
    else if (refusal === 'IRREVERSIBLE') command = 'unlock';
    else if (refusal === 'HOLDER_ALIVE' && struck(stage, 'clock jump')) command = 'unlock';
    else if (refusal === 'PLAN_UNSAFE' && command === 'abort' && struck(stage, 'leave')) command = 'unlock';
    // In the pool of before nothing was ever live: there is no way back but out of service.
    else if (refusal === 'PLAN_UNSAFE' && command === 'abort' && isPooled(world)) command = 'unlock';
    // To go on with a release that does not work would take too many nodes: there is the way back.
    else if (refusal === 'PLAN_UNSAFE' && (command === 'resume' || command === 'promote')) command = 'abort';
    else if (isLocked(world)) watcher.complain('converges', `a lock is left: ${endOf(session)}`);
  }
}

const struck = ({ world: { faults } }: Stage, fault: string): boolean => faults.struck.has(fault);

const isLocked = ({ nodes }: World): boolean => [...nodes.values()].some(({ disk }) => disk.lock !== null);

async function pass({ world, watcher }: Stage, ms: number): Promise<void> {
  const untilMs = world.clock.passedMs() + ms;
  await world.clock.run({ isOver: () => watcher.broken.length > 0, untilMs });
}

/** Machines are well, the branch is good, and persons put back what the floor needs. */
function heal({ world, batchMax }: Stage, drawn: SeededRandom): void {
  world.faults.healedAtMs = world.clock.passedMs();
  world.repository.head = revisionOf(200);
  world.unlisted.clear();
  for (const node of world.nodes.values()) {
    boot(world, node);
    node.cutOffUntilMs = 0;
    node.flapsUntilMs = 0;
    node.diskFullUntilMs = 0;
    node.application.stale = null;
  }
  for (const member of world.members) {
    comeUp(world, member);
    member.cutOffUntilMs = 0;
  }
  world.tell({ kind: 'fault', node: null, what: 'all is healed' });
  const spare = world.nodes.size - batchMax - world.site.servingMin;
  let held = 0;
  for (const node of world.nodes.values()) {
    if (serves(world, node.name) || (node.disk.drained.length > 0 && !isHeldSomewhere(world, node.name)))
      continue;
    if (held < spare && drawn.chance(0.5)) held++;
    else for (const member of world.members) rotate(world, member, node.name, 'in', 'operator');
  }
}

const isHeldSomewhere = ({ members }: World, node: NodeName): boolean =>
  members.some(({ servers }) => servers.get(node)!.isHeld);

/** Starts a call of the engine. It ends by itself, or by its doom. */
function start(stage: Stage, command: SessionCommand, doom: Doom, byHandOn?: NodeName): Session {
  const { simulation, world, random } = stage;
  const { mutant = {} } = simulation;
  const name = `run${world.sessions.length + 1}`;
  const chance = random.fork(name);
  const goesOn = ['resume', 'abort', 'promote'].includes(command);
  const earlier = goesOn ? holderOf(world) : null;
  const session: Session = {
    name,
    command,
    chain: earlier?.chain ?? name,
    startedAtMs: world.clock.passedMs(),
    stop: new AbortController(),
    doom,
    isDead: false,
    frozenUntilMs: 0,
    end: null,
    run: null,
    runs: new Set(),
    plan: null,
    step: null,
    release: null,
    had: earlier?.had ?? listedSite(world).nodes.map((node) => node.name),
    joined: [],
    leftOut: new Set(),
    plannedAtMs: Number.POSITIVE_INFINITY,
    calls: [],
    effects: 0,
    looks: new Map(),
    before: earlier ? beforeOf(world, earlier) : new Map(),
  };
  world.sessions.push(session);
  world.tell({ kind: 'started', session });
  const portsFor = (site: Site): Ports => {
    const plain = onlyOf(site, portsOf(world, session, chance));
    return mutant.ports?.(plain, world, session) ?? plain;
  };
  const listed = (): Site => {
    const now = listedSite(world);
    session.joined = now.nodes.flatMap((node) => (session.had.includes(node.name) ? [] : [node.name]));
    return mutant.site?.(now) ?? now;
  };
  const site = listed();
  const ports = portsFor(site);
  const request = {
    site,
    strategy: mutant.strategy?.(stage.strategy) ?? stage.strategy,
    nodes: null,
    skipUnreachable: chance.chance(0.3),
    withoutQuorum: false,
    decide: null,
    maintenance: random.fork(`maintenance of ${name}`).chance(0.15),
    signal: session.stop.signal,
    ...(site.lists.length === 0 ? {} : { lists: listsOf(listed, portsFor, mutant) }),
    confirm: async () => {
      await ports.clock.sleep(chance.chance(0.2) ? chance.integer({ min: 0, max: 5000 }) : 0);
      return true;
    },
  };
  const node = byHandOn ?? chance.pick(site.nodes).name;
  const byHand = { nodes: [node], force: false, signal: session.stop.signal };
  const calls: { readonly [C in SessionCommand]: () => Promise<Report | unknown> } = {
    deploy: () => deploy({ ...request, ref: 'main' }, ports),
    rollback: () => rollback({ ...request, to: null }, ports),
    resume: () => resume({ ...request, force: false }, ports),
    abort: () => abort({ ...request, force: false }, ports),
    promote: () => promote(request, ports),
    flip: () => flip({ ...request, back: false }, ports),
    'flip back': () => flip({ ...request, back: true }, ports),
    sync: () => sync({ ...request, to: null }, ports),
    unlock: () => unlockAll(site, ports),
    drain: () => setRotation(site, ports, { ...byHand, to: 'out' }),
    enable: () => setRotation(site, ports, { ...byHand, to: 'in' }),
    cron: () =>
      moveCron(site, ports, { to: node, fenced: byHandOn !== undefined, signal: session.stop.signal }),
  };
  calls[command]().then(
    (result) => {
      if (session.isDead) return;
      session.end = isReport(result)
        ? { kind: 'report', report: mutant.report?.(result) ?? result }
        : { kind: 'done' };
      world.tell({ kind: 'ended', session });
    },
    (error: unknown) => {
      if (session.isDead) return;
      session.end = { kind: 'thrown', error };
      world.tell({ kind: 'ended', session });
    },
  );
  return session;
}

const listsOf = (
  listed: () => Site,
  portsFor: (site: Site) => Ports,
  { relisted = (site) => site }: Mutant,
): NodeLists => ({
  read: async () => relisted(listed()),
  open: async (site) => ({ ...portsFor(site), close: async () => {} }),
});

/** As `sluice unlock` does: whatever is seen to be locked is freed. */
async function unlockAll(site: Site, ports: Ports): Promise<unknown> {
  const locks = locksIn(await observe(site, ports));
  return unlock(site, ports, { locks, reason: 'it hangs' });
}

/** The newest run that holds a lock. */
const holderOf = ({ sessions, nodes }: World): Session | null =>
  sessions.findLast(({ runs }) =>
    [...nodes.values()].some(({ disk }) => disk.lock !== null && runs.has(disk.lock.run)),
  ) ?? null;

/** What the nodes had before that run; one that lost its lock, and was changed since, has what it has. */
const beforeOf = ({ nodes }: World, { before, release }: Session): ReadonlyMap<NodeName, ReleaseId | null> =>
  new Map(
    [...before].map(([name, had]) => {
      const { lock, current } = nodes.get(name)!.disk;
      const isForeign = lock === null && current !== had && current !== release?.id;
      return [name, isForeign ? current : had];
    }),
  );

const isReport = (value: unknown): value is Report =>
  typeof value === 'object' && value !== null && 'outcome' in value;

function endOf(session: Session): string {
  const { command, isDead, end } = session;
  const report = reportOf(session);
  if (report) return `${command}: ${report.outcome}${report.failure ? ` ${report.failure.code}` : ''}`;
  if (isDead) return `${command}: died`;
  if (end?.kind === 'thrown')
    return `${command}: ${isDeployError(end.error) ? end.error.code : String(end.error)}`;
  return `${command}: ${end === null ? 'goes on' : 'done'}`;
}
