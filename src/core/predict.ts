import type { NodeName } from './node.ts';
import {
  hasComplete,
  liveRelease,
  type NodeState,
  noCron,
  type Observation,
  poolNodes,
  type ServerState,
} from './observation.ts';
import type { Release } from './release.ts';
import type { Step, StepKind, StepOf } from './step.ts';

/** What an observation will be once `step` has done what it promises. */
export const predict = (observed: Observation, step: Step): Observation =>
  (effects[step.kind] as (observed: Observation, step: Step) => Observation)(observed, step);

const effects: { readonly [K in StepKind]: (observed: Observation, step: StepOf<K>) => Observation } = {
  build: (observed) => observed,
  fetch: (observed) => observed,
  hook: (observed) => observed,
  hold: (observed) => observed,
  preview: (observed) => observed,
  cron: (observed, { from, to }) =>
    withNodes(observed, [...from, ...(to === null ? [] : [to])], (node) => ({
      ...node,
      cron: node.name === to ? { ...noCron, block: 'as set' } : noCron,
    })),
  maintenance: (observed, { nodes, to, text }) =>
    withNodes(observed, nodes, (node) => {
      const isTheirs = node.maintenance?.by === 'operator' && (to === 'on' || text === undefined);
      const by = text === undefined ? 'run' : 'operator';
      const set = to === 'on' ? ({ by, since: '', text: text ?? '' } as const) : null;
      return isTheirs ? node : { ...node, maintenance: set };
    }),
  prepare: (observed, { nodes, release }) => withNodes(observed, nodes, (node) => withRelease(node, release)),
  drain: (observed, { nodes }) => ({
    ...withNodes(observed, nodes, (node) => ({ ...node, drained: drainedBy(observed, node) })),
    servers: withServers(observed, nodes, (server) => ({ ...server, rotation: 'out', sessions: 0 })),
  }),
  activate: (observed, { nodes, release }) =>
    withNodes(observed, nodes, (node) => ({
      ...node,
      current: { kind: 'release', id: release.id },
      proved: null,
    })),
  check: (observed, { nodes, release }) =>
    withNodes(observed, nodes, (node) => ({ ...node, proved: release.id })),
  enable: (observed, { nodes }) => ({
    ...withNodes(observed, nodes, (node) => ({ ...node, drained: [] })),
    servers: withServers(observed, nodes, (server) =>
      observed.nodes[server.node]?.drained.includes(server.server)
        ? { ...server, rotation: 'in', health: server.health === 'unchecked' ? 'unchecked' : 'up' }
        : server,
    ),
  }),
  shift: (observed, { nodes, to }) => ({
    ...observed,
    servers: withServers(observed, nodes, (server) => ({ ...server, weight: to })),
  }),
  flip: (observed, { to, share }) => ({
    ...observed,
    balancers: observed.balancers.map(({ parts: _, ...balancer }) => ({
      ...balancer,
      pool: share === undefined ? to : null,
    })),
    servers: withServers(observed, poolNodes(observed, to).filter(isProved(observed)), (server) =>
      server.rotation === 'in' && server.health !== 'unchecked' ? { ...server, health: 'up' } : server,
    ),
  }),
  cleanup: (observed, { nodes, remove }) =>
    withNodes(observed, nodes, (node) => ({
      ...node,
      releases: node.releases.filter(({ id }) => !remove[node.name]?.includes(id)),
    })),
};

/** What a node answered its checks as, it answers the balancer's as well: a flip waits until the balancer says so. */
const isProved =
  ({ nodes }: Observation) =>
  (name: NodeName): boolean => {
    const node = nodes[name];
    return node !== undefined && node.proved !== null && node.proved === liveRelease(node);
  };

const withNodes = (
  observed: Observation,
  names: readonly NodeName[],
  change: (node: NodeState) => NodeState,
): Observation => ({
  ...observed,
  nodes: {
    ...observed.nodes,
    ...Object.fromEntries(
      names.flatMap((name) => {
        const node = observed.nodes[name];
        return node ? [[name, change(node)]] : [];
      }),
    ),
  },
});

const withServers = (
  observed: Observation,
  names: readonly NodeName[],
  change: (server: ServerState) => ServerState,
): readonly ServerState[] =>
  observed.servers.map((server) => (names.includes(server.node) ? change(server) : server));

const withRelease = (node: NodeState, { id, revision }: Release): NodeState =>
  hasComplete(node, id)
    ? node
    : {
        ...node,
        releases: [
          ...node.releases.filter((release) => release.id !== id),
          { id, revision, complete: true, checked: false, failed: false, backup: null },
        ].toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      };

/** The servers that draining takes out of rotation, and that enabling will put back. */
export const drainedBy = (observed: Observation, node: NodeState): readonly string[] => [
  ...new Set([
    ...node.drained,
    ...observed.servers
      .filter((server) => server.node === node.name && server.rotation === 'in')
      .map(({ server }) => server),
  ]),
];
