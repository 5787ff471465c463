import type { Node, NodeName } from '../../src/core/node.ts';
import {
  type NodeState,
  noCron,
  type Observation,
  type ReleaseState,
  type ServerState,
} from '../../src/core/observation.ts';
import type { Release, ReleaseId, Revision } from '../../src/core/release.ts';
import type { Check, Site } from '../../src/core/site.ts';

/** Releases of the tests: R1 is the oldest. */
export const releaseId = (n: number): ReleaseId => `202601140930${String(n).padStart(2, '0')}` as ReleaseId;
export const revisionOf = (n: number): Revision => String(n).repeat(40).slice(0, 40) as Revision;
export const release = (n: number): Release => ({ id: releaseId(n), revision: revisionOf(n) });

export const good = (n: number): ReleaseState => ({
  ...release(n),
  complete: true,
  checked: true,
  failed: false,
  backup: null,
});

export const node = (name: NodeName, more: Partial<Node> = {}): Node => ({
  name,
  address: `${name}.example.org`,
  port: null,
  user: null,
  pool: null,
  traffic: true,
  roles: [],
  labels: {},
  ...more,
});

export const nodeState = (name: NodeName, live: number | null, more: Partial<NodeState> = {}): NodeState => ({
  name,
  pool: null,
  unreachable: null,
  current: live === null ? { kind: 'absent' } : { kind: 'release', id: releaseId(live) },
  releases: live === null ? [] : [good(live)],
  proved: live === null ? null : releaseId(live),
  drained: [],
  lock: null,
  once: [],
  cron: noCron,
  irreversible: [],
  maintenance: null,
  problems: [],
  ...more,
});

export const server = (name: NodeName, more: Partial<ServerState> = {}): ServerState => ({
  balancer: 'lb',
  member: 'lb',
  node: name,
  server: `lb web/${name}`,
  rotation: 'in',
  health: 'up',
  sessions: 0,
  weight: 100,
  ...more,
});

export const names = (count: number): readonly NodeName[] =>
  Array.from({ length: count }, (_, i) => `web${i + 1}`);

/** A fleet behind one balancer, all serving release `live`. */
export const fleet = (count: number, live: number | null = 1): Observation => ({
  witnesses: [],
  nodes: Object.fromEntries(names(count).map((name) => [name, nodeState(name, live)])),
  balancers: [{ balancer: 'lb', member: 'lb', unreachable: null, incarnation: '1', pool: null }],
  addresses: [],
  servers: names(count).map((name) => server(name, live === null ? { health: 'down' } : {})),
});

export const withNode = (observed: Observation, name: NodeName, change: Partial<NodeState>): Observation => ({
  ...observed,
  nodes: { ...observed.nodes, [name]: { ...observed.nodes[name]!, ...change } },
});

/** Two pools of one size, blue first; the balancer sends traffic to blue. */
export const pooledFleet = (size: number, live: number | null = 1): Observation => {
  const all = names(2 * size);
  const observed = fleet(2 * size, live);
  return all.reduce<Observation>(
    (now, name, i) => withNode(now, name, { pool: i < size ? 'blue' : 'green' }),
    {
      ...observed,
      balancers: observed.balancers.map((one) => ({ ...one, pool: 'blue' })),
    },
  );
};

export const withServer = (
  observed: Observation,
  name: NodeName,
  change: Partial<ServerState>,
): Observation => ({
  ...observed,
  servers: observed.servers.map((one) => (one.node === name ? { ...one, ...change } : one)),
});

export const check = (more: Partial<Check> = {}): Check => ({
  path: '/health',
  scheme: 'http',
  port: 80,
  host: null,
  status: 200,
  expect: '{{release}}',
  attemptsMax: null,
  intervalMs: 1000,
  timeoutMs: 10_000,
  via: 'ssh',
  ...more,
});

export const site = (count: number, more: Partial<Site> = {}): Site => ({
  name: 'shop',
  stage: 'production',
  source: {
    kind: 'git',
    url: 'git@example.org:shop.git',
    ref: 'main',
    directory: '.',
    submodules: true,
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
  assets: [],
  cron: null,
  keepReleases: 5,
  drift: { paths: [], ignore: [] },
  nodes: names(count).map((name) => node(name)),
  lists: [],
  balancers: [{ name: 'lb', kind: 'haproxy', onUnreachable: 'stop', options: {} }],
  addresses: [],
  strategy: { name: 'rolling', options: {} },
  servingMin: Math.ceil(count / 2),
  drain: { timeoutMs: 10_000, onTimeout: 'put-back', enableTimeoutMs: 10_000, port: null },
  checks: [check()],
  activate: [],
  hooks: [],
  preview: null,
  maintenance: null,
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
  onFailure: 'rollback',
  notices: [],
  failuresMax: 0,
  witnesses: [],
  ...more,
});

/** A stream of numbers in [0, 1) that a seed decides (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
