import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SshSettings } from '../../../src/core/site.ts';
import { generateKeyPair, type SshServer, startSshServer } from '../../../src/sandbox/ssh-server.ts';
import { settingsOf } from './settings.ts';

/** SSH servers in one folder, with a key that all let in and a known_hosts that has them all. */
export interface Sandbox {
  readonly folder: string;
  readonly key: string;
  readonly knownHosts: string;
  readonly servers: readonly SshServer[];
  settings(settings?: Partial<SshSettings>): SshSettings;
  stop(): Promise<void>;
}

export async function startSandbox(count = 1): Promise<Sandbox> {
  const folder = await mkdtemp(join(tmpdir(), 'sandbox-'));
  const pair = generateKeyPair();
  const key = join(folder, 'id_ed25519');
  await writeFile(key, pair.privateKey, { mode: 0o600 });
  const servers = await Promise.all(
    Array.from({ length: count }, () =>
      startSshServer({ hostKey: generateKeyPair().privateKey, authorizedKey: pair.publicKey, home: folder }),
    ),
  );
  const knownHosts = join(folder, 'known_hosts');
  await writeFile(knownHosts, servers.map(({ knownHost }) => `${knownHost}\n`).join(''));
  return {
    folder,
    key,
    knownHosts,
    servers,
    settings: (settings) =>
      settingsOf({ keys: [key], knownHosts: [knownHosts], user: 'deploy', ...settings }),
    async stop() {
      await Promise.all(servers.map((server) => server.close()));
      await rm(folder, { recursive: true });
    },
  };
}

/** A TCP port that leads to another, until it is cut; while `refusals` last, it drops who connects. */
export interface Line {
  readonly port: number;
  /** Connections made so far. */
  readonly connections: () => number;
  /** Of these those that are open. */
  readonly open: () => number;
  refuseNext(times: number): void;
  cut(): void;
  close(): Promise<void>;
}

export async function startLine(to: number): Promise<Line> {
  const sockets = new Set<Socket>();
  let connections = 0;
  let refusals = 0;
  const server = createServer((near) => {
    connections += 1;
    if (refusals > 0) {
      refusals -= 1;
      return near.resetAndDestroy();
    }
    const far = connect(to, '127.0.0.1');
    for (const socket of [near, far]) {
      sockets.add(socket.on('error', () => undefined));
      socket.once('close', () => sockets.delete(socket));
    }
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as { port: number }).port,
    connections: () => connections,
    open: () => sockets.size,
    refuseNext: (times) => {
      refusals = times;
    },
    cut,
    async close() {
      cut();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
