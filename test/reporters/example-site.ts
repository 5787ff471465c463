import type { NodeState, Observation, ServerState } from '../../src/core/observation.ts';
import type { Release, ReleaseId, Revision } from '../../src/core/release.ts';

/** A site of four nodes behind a pair of balancers, for what is drawn. */
export const oldRelease: Release = {
  id: '20260113090000' as ReleaseId,
  revision: '1b2c3d4e5f60718293a4b5c6d7e8f90112233445' as Revision,
};
export const newRelease: Release = {
  id: '20260114093000' as ReleaseId,
  revision: '3f2a9c1d5e60718293a4b5c6d7e8f90112233445' as Revision,
};

export const nodeNames = ['web1', 'web2', 'web3', 'web4'] as const;

export const node = (name: string, release: Release | null, more: Partial<NodeState> = {}): NodeState => ({
  name,
  pool: null,
  unreachable: null,
  current: release === null ? { kind: 'absent' } : { kind: 'release', id: release.id },
  releases: [oldRelease, ...(release?.id === newRelease.id ? [newRelease] : [])].map((one) => ({
    ...one,
    complete: true,
    checked: true,
    failed: false,
    backup: null,
  })),
  proved: release?.id ?? null,
  drained: [],
  lock: null,
  once: [],
  cron: { block: 'none', since: null, running: [] },
  irreversible: [],
  maintenance: null,
  problems: [],
  ...more,
});

export const server = (balancer: string, name: string, more: Partial<ServerState> = {}): ServerState => ({
  balancer,
  member: balancer,
  node: name,
  server: `${balancer} web/${name}`,
  rotation: 'in',
  health: 'up',
  sessions: 3,
  weight: 100,
  ...more,
});

export const serversOn = (name: string, more: Partial<ServerState> = {}): readonly ServerState[] => [
  server('lb1', name, more),
  server('lb2', name, more),
];

export const observation = (
  nodes: readonly NodeState[] = nodeNames.map((name) => node(name, oldRelease)),
  servers: readonly ServerState[] = nodeNames.flatMap((name) => serversOn(name)),
): Observation => ({
  witnesses: [],
  nodes: Object.fromEntries(nodes.map((state) => [state.name, state])),
  balancers: ['lb1', 'lb2'].map((name) => ({
    balancer: name,
    member: name,
    unreachable: null,
    incarnation: '1',
    pool: null,
  })),
  servers,
  addresses: [],
});
