import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * A port that nothing listens at, anywhere on this machine. It is below those that the kernel gives to clients and apart
 * from those of the other workers of a test run: nobody takes it before it is used.
 */
export async function freePort(): Promise<number> {
  const first = 10_000 + portsEach * (Number(process.env.VITEST_POOL_ID ?? 0) % 20);
  for (let tries = 0; tries < portsEach; tries++) {
    const port = first + (next++ % portsEach);
    if (await canListen(port)) return port;
  }
  throw new Error(`no port is free from ${first} to ${first + portsEach - 1}`);
}

const portsEach = 1000;
let next = process.pid;

async function canListen(port: number): Promise<boolean> {
  const server = createServer().listen(port);
  const isFree = await once(server, 'listening').then(
    () => true,
    () => false,
  );
  if (isFree) await new Promise((resolve) => server.close(resolve));
  return isFree;
}
