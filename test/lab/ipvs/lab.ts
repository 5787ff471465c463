import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { Balancer, Transport } from '../../../src/ports.ts';
import type { Backend } from '../../contracts/balancer.ts';
import { type Director, makeNetwork, network, startRelay } from './network.ts';

export type Forwarding = keyof typeof network.virtual;

/** The port of all virtual services; direct routing changes none. */
export const servicePort = 80;

export interface Site {
  /** Of the site, through each director. */
  readonly urls: readonly string[];
  close(): Promise<void>;
}

/** Makes the backends, which are in this process, real servers of the network; and the way there through each director. */
export async function startSite(
  backends: readonly Backend[],
  forwarding: Forwarding,
  directors: readonly Director[],
): Promise<Site> {
  await makeNetwork(directors);
  const folder = '/tmp/relay';
  const behind = await Promise.all(
    backends.map(async ({ name, port }) => {
      const path = `${folder}.${name}`;
      const door = await passOn({ path }, { host: '127.0.0.1', port });
      const relay = await startRelay(name, `0.0.0.0:${servicePort}`, path);
      return {
        stop: () => Promise.all([closed(door), relay.kill()]).then(() => rmSync(path, { force: true })),
      };
    }),
  );
  const path = `${folder}.client2`;
  const virtual = `${network.virtual[forwarding]}:${servicePort}`;
  const relay = await startRelay('client2', path, virtual);
  const door = await passOn({ host: '127.0.0.1', port: 0 }, { path });
  const { port } = door.address() as { port: number };
  return {
    urls: [`http://${virtual}`, `http://127.0.0.1:${port}`],
    async close() {
      relay.kill();
      rmSync(path, { force: true });
      await Promise.all([closed(door), ...behind.map(({ stop }) => stop())]);
    },
  };
}

type Address = { readonly path: string } | { readonly host: string; readonly port: number };

async function passOn(from: Address, to: Address): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const behind = connect({ ...to, allowHalfOpen: true, noDelay: true });
    client.pipe(behind).pipe(client);
    client.on('error', () => behind.destroy());
    behind.on('error', () => client.destroy());
  }).listen(from);
  await once(server, 'listening');
  return server;
}

const closed = (server: Server): void => void server.close();

/** The driver of this kind for these nodes. */
export function driverOf(
  kind: 'ipvs' | 'ldirectord',
  settings: Readonly<Record<string, unknown>>,
  { nodes, transport }: { readonly nodes: readonly string[]; readonly transport: Transport },
): Balancer {
  const { options, create } = balancerKinds[kind];
  const read = parseFields(options, settings);
  if (!read.ok) throw new Error(read.problems.join('\n'));
  return create({ name: 'lb', options: read.value, nodes, addresses: network.real, transport });
}
