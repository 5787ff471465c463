import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

export interface CountingProxy {
  readonly port: number;
  /** What went through since the last time, both ways. */
  bytes(): number;
  stop(): Promise<void>;
}

/** Passes connections to 127.0.0.1 on to an address, and counts their bytes. */
export async function startCountingProxy(to: {
  readonly host: string;
  readonly port: number;
}): Promise<CountingProxy> {
  const open = new Set<Socket>();
  let count = 0;
  const join = (from: Socket, other: Socket): void => {
    open.add(from);
    from.on('data', (chunk) => {
      count += chunk.length;
    });
    from.on('error', () => other.destroy());
    from.on('close', () => open.delete(from));
    from.pipe(other);
  };
  const server = createServer((client) => {
    const there = connect(to);
    join(client, there);
    join(there, client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    bytes() {
      const seen = count;
      count = 0;
      return seen;
    },
    async stop() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };
}
