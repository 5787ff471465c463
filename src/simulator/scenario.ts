import { cronBlock } from '../commands/crontab.ts';
import type { HookPoint, HookSpec, Workers } from '../core/hook.ts';
import { isoTime } from '../core/instant.ts';
import { dutyHooks } from '../core/migration.ts';
import type { Node, NodeName } from '../core/node.ts';
import { newReleaseId, type Release, type ReleaseId, type Revision } from '../core/release.ts';
import type {
  AddressSettings,
  BalancerSettings,
  Check,
  CronSettings,
  OnFailure,
  Site,
} from '../core/site.ts';
import { workersHooks } from '../core/workers.ts';
import type { BalancerCapabilities } from '../ports.ts';
import { type Member, newServer, type SimulatedBalancer } from './balancer.ts';
import { newDisk, newWorker, type SimulatedNode } from './node.ts';
import type { SeededRandom } from './random.ts';

/** 2026-01-14T09:30:00Z. */
export const startMs = 1_768_383_000_000;

/** The most nodes that any strategy of the seed may take out at once: the floor leaves room for them. */
export interface SiteShape {
  readonly nodes: number;
  readonly batchMax: number;
  /** Its nodes are two pools, blue and green; default: there are none. */
  readonly hasPools?: boolean;
  /** What stands in front of the pools can give each a part of the traffic. */
  readonly givesParts?: boolean;
}

export function drawSite(
  random: SeededRandom,
  { nodes: count, batchMax, hasPools = false, givesParts = false }: SiteShape,
): Site {
  const names = Array.from({ length: count }, (_, i) => `web${i + 1}`);
  const balancers = random.chance(0.1) ? 0 : random.chance(0.3) ? 2 : 1;
  const site: Site = {
    name: 'shop',
    stage: 'production',
    source: {
      kind: 'git',
      url: 'origin',
      ref: 'main',
      directory: '.',
      submodules: false,
      build: [],
      env: {},
      exclude: [],
      timeoutMs: 60_000,
    },
    deployTo: '/srv/shop',
    linkedDirs: [],
    linkedFiles: [],
    shared: null,
    localDirs: [],
    assets: random.fork('assets').chance(0.4) ? ['public/assets'] : [],
    cron: drawCron(random.fork('cron'), names),
    keepReleases: random.integer({ min: 2, max: 5 }),
    nodes: names.map((name) => newNode(name, [...(random.chance(0.5) ? ['db'] : []), 'cron'])),
    lists: [],
    witnesses: [],
    drift: { paths: [], ignore: [] },
    balancers: Array.from({ length: balancers }, (_, i) => newBalancer(`lb${i + 1}`)),
    addresses: [],
    strategy: { name: 'simulated', options: {} },
    servingMin: balancers === 0 ? 0 : random.integer({ min: 0, max: Math.max(0, count - batchMax) }),
    drain: {
      timeoutMs: random.pick([1000, 5000, 10_000]),
      onTimeout: random.pick(['force', 'put-back']),
      enableTimeoutMs: 10_000,
      port: random.fork('port').chance(0.5) ? 80 : null,
    },
    checks: random.chance(0.9) ? drawChecks(random) : [],
    activate: [],
    hooks: random.chance(0.4) ? drawHooks(random) : [],
    maintenance: null,
    preview: null,
    become: null,
    ssh: {
      transport: 'ssh2',
      user: null,
      port: null,
      keys: [],
      agent: true,
      jump: [],
      configFile: null,
      knownHosts: [],
      hostKeys: 'strict',
      connectTimeoutMs: 10_000,
      keepAliveMs: 15_000,
      attemptsMax: 3,
    },
    onFailure: random.pick<OnFailure>(['rollback', 'rollback', 'rollback-batch', 'halt', 'hold']),
    notices: [],
    failuresMax: random.pick([0, 0, 1, 2]),
  };
  const whole = random.chance(0.3) ? { ...site, hooks: [...drawMigration(random), ...site.hooks] } : site;
  const manned = { ...whole, hooks: [...whole.hooks, ...workersHooks(drawWorkers(random.fork('workers')))] };
  return inFrontOf(
    random.fork('addresses'),
    hasPools ? inPools(random.fork('pools'), manned, givesParts) : manned,
  );
}

/** Half of those with two balancers have them as a pair, of which one gets the visitors. */
function inFrontOf(random: SeededRandom, site: Site): Site {
  const { balancers } = site;
  if (balancers.length < 2 || random.chance(0.5)) return site;
  const onUnreachable = random.pick(['stop', 'go on'] as const);
  const address: AddressSettings = {
    name: 'front',
    balancers: balancers.map(({ name }) => name),
    kind: 'simulated',
    options: {},
  };
  return {
    ...site,
    balancers: balancers.map((balancer) => ({ ...balancer, onUnreachable })),
    addresses: [address],
  };
}

/** Most are of one size; the floor is what the smaller one can hold. */
function inPools(random: SeededRandom, site: Site, givesParts: boolean): Site {
  const count = site.nodes.length;
  const blue = random.chance(0.7) ? Math.ceil(count / 2) : random.integer({ min: 1, max: count - 1 });
  const balancers = ['lb1', 'lb2'].slice(0, random.integer({ min: 1, max: 2 })).map(newBalancer);
  return {
    ...site,
    nodes: site.nodes.map((node, i) => ({ ...node, pool: i < blue ? 'blue' : 'green' })),
    balancers:
      random.fork('switch').chance(0.2) && !givesParts
        ? [{ ...newBalancer('lb1'), kind: 'address' }]
        : balancers,
    servingMin: random.integer({ min: 0, max: Math.min(blue, count - blue) }),
  };
}

const newBalancer = (name: string): BalancerSettings => ({
  name,
  kind: 'simulated',
  onUnreachable: 'stop',
  options: {},
});

/** Its jobs are not the shell's to run: the simulator draws how long each takes. */
const drawCron = (random: SeededRandom, names: readonly NodeName[]): CronSettings | null => {
  if (random.chance(0.5)) return null;
  const isNamed = random.chance(0.5);
  return {
    node: isNamed ? random.pick(names) : null,
    role: isNamed ? null : 'cron',
    jobs: [{ schedule: '* * * * *', run: ['true'] }],
    file: null,
    keptIn: 'crontab',
    onRunning: random.pick(['wait', 'end']),
    timeoutMs: 20_000,
    hold: random.pick(['never', 'deploy', 'migrations']),
    fence: null,
  };
};

/** Jobs take up to 12 s, so that some are not over in time. */
const drawWorkers = (random: SeededRandom): Workers | null =>
  random.chance(0.7)
    ? null
    : {
        role: null,
        stop: ['true'],
        isRunning: null,
        kill: random.chance(0.3) ? ['true'] : null,
        start: [['true']],
        drainMs: random.pick([1000, 5000, 15_000]),
      };

/** One that is asked for by the node, one that says so beforehand, one that closes nothing, and the usual. */
const drawMigration = (random: SeededRandom): readonly HookSpec[] => {
  const part = { role: null, timeoutMs: 60_000 };
  const contract = random.chance(0.7) ? 'true' : null;
  const irreversible = random.pick([null, null, true, 'true', 'false']);
  const backup = random.chance(0.3) ? { command: 'true', ...part } : null;
  return dutyHooks({ expand: 'true', contract, irreversible, ...part }, backup);
};

const newNode = (name: NodeName, roles: readonly string[]): Node => ({
  name,
  address: `${name}.example.org`,
  port: null,
  user: null,
  roles,
  traffic: true,
  pool: null,
  labels: {},
});

function drawChecks(random: SeededRandom): readonly Check[] {
  const one = (path: string): Check => ({
    path,
    scheme: 'http',
    port: 80,
    host: null,
    status: 200,
    expect: '{{release}}',
    attemptsMax: null,
    intervalMs: 500,
    timeoutMs: 6000,
    via: random.pick(['ssh', 'direct']),
  });
  return random.chance(0.3) ? [one('/up'), one('/shop')] : [one('/up')];
}

const pointsOfHooks: readonly HookPoint[] = [
  'before:deploy',
  'before:prepare',
  'after:prepare',
  'before:activate',
  'after:enable',
  'after:deploy',
];

function drawHooks(random: SeededRandom): readonly HookSpec[] {
  const count = random.integer({ min: 1, max: 3 });
  return Array.from({ length: count }, (_, i): HookSpec => {
    const once = random.chance(0.6);
    return {
      name: `hook ${i + 1}`,
      point: random.pick(pointsOfHooks),
      action: { kind: 'nodes', command: ['true'], role: null, once, timeoutMs: 60_000 },
    };
  });
}

/** Releases that the nodes had before anything happened, oldest first. */
export function drawReleases(random: SeededRandom): readonly Release[] {
  const result: Release[] = [];
  const count = random.integer({ min: 1, max: 4 });
  for (let n = 0; n < count; n++) {
    const id = newReleaseId(startMs - (count - n) * 86_400_000, []);
    result.push({ id, revision: revisionOf(n + 1) });
  }
  return result;
}

export const revisionOf = (n: number): Revision => n.toString(16).padStart(40, '0') as Revision;

export interface Past {
  readonly releases: readonly Release[];
  /** Without checks nobody waits for the application. */
  readonly startsAtOnce: boolean;
  /** The part of the nodes that are new. */
  readonly joins: number;
}

/** A node as earlier deploys left it; now and then one that is behind, or new. */
export function drawNode(
  random: SeededRandom,
  node: Node,
  { releases, startsAtOnce, joins }: Past,
): SimulatedNode {
  const disk = newDisk();
  const isNew = random.chance(joins);
  const behind = random.chance(0.1) ? 1 : 0;
  const had = isNew ? [] : releases.slice(0, Math.max(1, releases.length - behind));
  for (const { id, revision } of had) {
    disk.releases.set(id, { revision, digest: `${revision}${id}`, assetsOf: new Set([id]) });
    disk.records.set(id, ['complete', 'live', 'checked']);
    disk.revisionsLog.push(`Branch main (at ${revision}) deployed as release ${id} by ada`);
    disk.history.push(JSON.stringify({ at: isoTime(startMs), run: 'earlier', text: `deploy ${id}` }));
  }
  const live: ReleaseId | null = had.at(-1)?.id ?? null;
  disk.current = live;
  return {
    name: node.name,
    node,
    skewMs: random.chance(0.2) ? random.integer({ min: -300_000, max: 300_000 }) : 0,
    startMs: startsAtOnce ? 0 : random.pick([0, 50, 400, 2000]),
    disk,
    isUp: true,
    isGone: false,
    boots: 1,
    isBusy: false,
    latest: null,
    jobs: new Set(),
    worker: newWorker(live),
    application: { release: live, readyAtMs: 0, stale: null },
    changedAtMs: Number.NEGATIVE_INFINITY,
    answers: new Map(),
    flapsUntilMs: 0,
    cutOffUntilMs: 0,
    diskFullUntilMs: 0,
  };
}

/** Some node has the cron, the right one or another, as an earlier run of sluice left it. */
export function drawHolder(random: SeededRandom, site: Site, nodes: Iterable<SimulatedNode>): void {
  const able = [...nodes].filter(({ disk }) => disk.current !== null);
  if (site.cron === null || able.length === 0 || random.chance(0.3)) return;
  const { disk } = random.pick(able);
  disk.cron = cronBlock(site);
  disk.cronSince = '20260101000000-0000';
}

/** How a kind of balancer behaves; whether it has weights, flips and counters is the simulator's own choice. */
export type Behaviour = Pick<
  BalancerCapabilities,
  'drain' | 'sessions' | 'settleMs' | 'successor' | 'flipsOnly'
>;

/** A balancer of a kind behaves as that does; of those of no kind some behave as one of the kinds, drawn by the seed. */
export function drawBalancers(
  random: SeededRandom,
  site: Site,
  kinds: Readonly<Record<string, Behaviour>>,
): readonly SimulatedBalancer[] {
  const hasPools = site.nodes.some(({ pool }) => pool !== null);
  return site.balancers.map(({ name, kind }) => {
    const own = kinds[kind];
    if (own?.flipsOnly && hasPools) return newSwitch(random, name, { site, own });
    const members = random.chance(0.2) ? [`${name}a`, `${name}b`] : [name];
    const lagMs = random.chance(0.3) ? random.integer({ min: 1, max: 300 }) : 0;
    return {
      name,
      capabilities: {
        drain: random.pick(['both', 'both', 'hard', 'soft']),
        sessions: random.chance(0.9) ? 'exact' : 'none',
        ...drawMemory(random.fork(`memory of ${name}`)),
        ...behaviourOf(own ?? drawKind(random.fork(`kind of ${name}`), kinds)),
        weights: hasPools ? 'pool' : 'server',
        flip: hasPools ? (random.fork('flip').chance(0.7) ? 'kept' : 'forgotten') : 'none',
        counters: true,
      },
      members: members.map((member) => drawMember(random, name, member, { site, lagMs })),
    };
  });
}

const newSwitch = (
  random: SeededRandom,
  name: string,
  { site, own }: { readonly site: Site; readonly own: Behaviour },
): SimulatedBalancer => ({
  name,
  capabilities: { ...own, weights: 'none', flip: 'kept', counters: false },
  members: [drawMember(random, name, name, { site, lagMs: 0 })],
});

const drawKind = (
  random: SeededRandom,
  kinds: Readonly<Record<string, Behaviour>>,
): Behaviour | undefined => {
  const all = Object.values(kinds);
  return all.length > 0 && random.chance(0.4) ? random.pick(all) : undefined;
};

const behaviourOf = (kind: Behaviour | undefined): Partial<Behaviour> => {
  if (kind === undefined) return {};
  const { drain, sessions, settleMs, successor } = kind;
  return { drain, sessions, settleMs, successor };
};

const drawMemory = (random: SeededRandom): Pick<BalancerCapabilities, 'settleMs' | 'successor'> => ({
  settleMs: random.chance(0.15) ? random.integer({ min: 100, max: 2000 }) : 0,
  successor: {
    rotation: random.chance(0.2) ? 'kept' : 'forgotten',
    requests: random.pick(['counted', 'uncounted']),
  },
});

const drawMember = (
  random: SeededRandom,
  balancer: string,
  name: string,
  { site, lagMs }: { readonly site: Site; readonly lagMs: number },
): Member => ({
  balancer,
  name,
  lagMs,
  checks: {
    intervalMs: random.pick([500, 1000, 2000]),
    rise: random.integer({ min: 1, max: 2 }),
    fall: random.integer({ min: 1, max: 3 }),
  },
  servers: new Map(site.nodes.map((node) => [node.name, newServer(name, node.name, node.pool)])),
  pool: site.nodes[0]?.pool ?? null,
  share: null,
  ownPool: site.nodes[0]?.pool ?? null,
  isUp: true,
  cutOffUntilMs: 0,
  restarts: 0,
  replacedAtMs: Number.NEGATIVE_INFINITY,
  past: [],
  toldAtMs: 0,
});
