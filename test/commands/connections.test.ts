import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { countConnections } from '../../src/commands/connections.ts';
import { strictCommand } from '../../src/commands/shell.ts';

/** What the command prints on this machine, read. */
function counted(port: number): number {
  const { script, parse } = countConnections(port);
  const { status, stdout, stderr } = spawnSync('sh', ['-c', strictCommand(script, null)], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return parse(stdout);
}

async function listening(host: string): Promise<{ readonly server: Server; readonly port: number }> {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, host);
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

async function client(port: number, host: string, localAddress: string): Promise<Socket> {
  const socket = connect({ port, host, localAddress });
  await once(socket, 'connect');
  onTestFinished(() => void socket.destroy());
  return socket;
}

test('a port that nobody is connected to has no connections', async () => {
  const { port } = await listening('127.0.0.1');
  expect(counted(port)).toBe(0);
});

test('connections of others are counted until they are closed, by IPv4 and IPv6', async () => {
  const { port } = await listening('::');
  const sockets = [
    await client(port, '127.0.0.1', '127.0.0.2'),
    await client(port, '127.0.0.1', '127.0.0.3'),
  ];
  expect(counted(port)).toBe(2);
  for (const socket of sockets) socket.destroy();
  await expect.poll(() => counted(port)).toBe(0);
});

test('a connection that the node has with itself is none, and neither is one that it has to the same port elsewhere', async () => {
  const { port } = await listening('127.0.0.1');
  await client(port, '127.0.0.1', '127.0.0.1');
  expect(counted(port)).toBe(0);
});

test('of two ports each has its own', async () => {
  const [one, other] = [await listening('127.0.0.1'), await listening('127.0.0.1')];
  await client(one.port, '127.0.0.1', '127.0.0.2');
  expect([counted(one.port), counted(other.port)]).toEqual([1, 0]);
});
