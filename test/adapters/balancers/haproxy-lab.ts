import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { Balancer, Host, StreamTarget, Transport } from '../../../src/ports.ts';
import type { Abilities, Backend, BalancerLab } from '../../contracts/balancer.ts';
import { ask, type HaproxyBackend, startHaproxy } from '../../lab/haproxy.ts';
import { freePort } from '../../lab/port.ts';

export const abilitiesOf = (successor: Partial<Abilities['successor']> = {}): Abilities => ({
  drain: 'both',
  sessions: 'exact',
  settleMs: 0,
  successor: { rotation: 'forgotten', requests: 'uncounted', ...successor },
  weights: 'server',
  counters: true,
  checksHealth: true,
});

export function driver(
  raw: Readonly<Record<string, unknown>>,
  nodes: readonly string[] = ['web1', 'web2'],
  pools: Readonly<Record<string, string>> = {},
  transport: Transport = standInForSsh,
): Balancer {
  const kind = balancerKinds.haproxy;
  const options = parseFields(kind.options, raw);
  if (!options.ok) throw new Error(options.problems.join('\n'));
  return kind.create({ name: 'lb', options: options.value, nodes, pools, transport });
}

/** Stands for SSH: what it is asked to reach or to run on the machine `lb.example.org`, it reaches and runs here. */
const standInForSsh: Transport = {
  run: (host, command, options) => local.run(ours(host), command, options),
  async connect(host: Host, to: StreamTarget) {
    ours(host);
    return to.kind === 'unix' ? connect(to.path) : connect(to.port, to.host);
  },
  close: async () => {},
  counts: () => ({ connections: 0, commands: 0 }),
};

const local = localTransport({ become: null });

function ours(host: Host): Host {
  expect(host).toEqual({ name: 'lb.example.org', address: 'lb.example.org', user: 'ops', port: null });
  return host;
}

export interface LabOptions {
  /** Processes; default: 1. */
  readonly count?: number;
  /** How they are reached; default: unix. */
  readonly over?: 'unix' | 'tcp' | 'ssh';
  /** Each is a master with workers, who may be asked for; and what is told is kept in a file. */
  readonly remembers?: boolean;
  readonly program?: string;
}

/** Checks often, so that tests need not wait; a machine that is busy for a while is no failure. */
export const checking: readonly string[] = [
  'option httpchk GET /health',
  'timeout check 5s',
  'default-server check inter 50 rise 2 fall 2 weight 100',
];

export async function startLab(
  backends: readonly Backend[],
  { count = 1, over = 'unix', remembers = false, program = 'haproxy' }: LabOptions = {},
): Promise<BalancerLab> {
  const folder = mkdtempSync(join(tmpdir(), 'haproxy-'));
  const web: HaproxyBackend = {
    name: 'web',
    lines: checking,
    servers: backends.map(({ name, port }) => ({ name, port })),
  };
  const members = await Promise.all(
    Array.from({ length: count }, async (_, i) => {
      const dir = join(folder, String(i));
      mkdirSync(dir);
      const [frontendPort, apiPort, masterPort] = [await freePort(), await freePort(), await freePort()];
      const master = over === 'tcp' ? `127.0.0.1:${masterPort}` : join(dir, 'master.sock');
      const stateFile = join(dir, 'state');
      const socket = join(dir, 'api.sock');
      const running = await startHaproxy({
        dir,
        frontendPort,
        socket,
        program,
        backends: [web],
        global: [
          `stats socket ipv4@127.0.0.1:${apiPort} level admin`,
          `stats socket ${join(dir, 'operator.sock')} mode 600 level operator`,
          ...(remembers ? [`server-state-file ${stateFile}`] : []),
        ],
        ...(remembers ? { master, defaults: ['load-server-state-from-file global'] } : {}),
      });
      return { running, dir, address: over === 'tcp' ? `127.0.0.1:${apiPort}` : socket, master, stateFile };
    }),
  );
  const more = {
    backend: 'web',
    ...(over === 'ssh' ? { host: { address: 'lb.example.org', user: 'ops' } } : {}),
    ...(remembers ? { master: members.map(({ master }) => master) } : {}),
    ...(remembers && over !== 'tcp' ? { stateFile: members.map(({ stateFile }) => stateFile) } : {}),
  };
  const make = (socket: readonly string[], nodes?: readonly string[]) => driver({ socket, ...more }, nodes);
  const addresses = members.map(({ address }) => address);
  return {
    balancer: make(addresses),
    urls: members.map(({ running }) => running.url),
    serverNamed: (name) => `web/${name}`,
    forNodes: (nodes) => make(addresses, nodes),
    withoutRights: () => make(members.map(({ dir }) => join(dir, 'operator.sock'))),
    async takeOutByHand(node) {
      for (const { running } of members) await ask(running.socket, `disable server web/${node}`);
    },
    restartMember: () => members[0]!.running[remembers ? 'reload' : 'restart'](),
    stopMember: () => members[0]!.running.stop(),
    async close() {
      await Promise.all(members.map(({ running }) => running.stop()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
