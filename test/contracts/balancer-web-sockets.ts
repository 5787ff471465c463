import { once } from 'node:events';
import { get } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterEach, expect, test, vi } from 'vitest';
import type { Balancer } from '../../src/ports.ts';

/** A balancer that sends requests to the nodes `web1` and `web2`, whose backends echo on WebSockets. */
export interface WebSocketsLab {
  readonly balancer: Balancer;
  /** Of one member. */
  readonly url: string;
}

/** What every driver promises whose balancer can tell WebSockets from requests. */
export function webSocketsContract(lab: () => WebSocketsLab): void {
  const opened: Opened[] = [];
  afterEach(() => {
    for (const { socket } of opened.splice(0)) socket.destroy();
  });
  const open = async (times: number): Promise<readonly Opened[]> => {
    const fresh: Opened[] = [];
    for (let i = 0; i < times; i++) fresh.push(await openWebSocket(lab().url));
    opened.push(...fresh);
    return fresh;
  };
  /** The servers of a node, all WebSockets that are open to them, and what they have in flight. */
  const seen = async (node: string) => {
    const { balancer } = lab();
    const counts = await balancer.webSockets!.count();
    const servers = (await balancer.observe()).servers.filter((server) => server.node === node);
    return {
      servers: servers.map(({ server }) => server),
      webSockets: servers.reduce((sum, { server }) => sum + counts.get(server)!, 0),
      sessions: servers.reduce((sum, { sessions }) => sum + sessions!, 0),
    };
  };

  test('WebSockets are counted where they are open, among the sessions', async () => {
    await fetch(lab().url);
    const open1 = (await open(4)).filter(({ node }) => node === 'web1').length;
    await vi.waitFor(
      async () => expect(await seen('web1')).toMatchObject({ webSockets: open1, sessions: open1 }),
      patience,
    );
    for (const { socket } of opened) socket.destroy();
    await vi.waitFor(
      async () => expect(await seen('web1')).toMatchObject({ webSockets: 0, sessions: 0 }),
      patience,
    );
  });

  test('a node that is out keeps those that it has, gets no more, and loses them at the word alone', async () => {
    const { balancer } = lab();
    const before = await open(4);
    await balancer.change([{ node: 'web1', server: null, to: 'out' }]);
    expect(new Set((await open(4)).map(({ node }) => node))).toEqual(new Set(['web2']));
    for (const { socket } of before) expect(await echoed(socket, 'still there')).toBe('still there');

    const { servers } = await seen('web1');
    const gone = before
      .filter(({ node }) => node === 'web1')
      .map(({ socket }) => once(socket.resume(), 'close'));
    expect(gone.length).toBeGreaterThan(0);
    await balancer.webSockets!.close(servers);
    await balancer.webSockets!.close(servers);
    await Promise.all(gone);
    await vi.waitFor(
      async () => expect(await seen('web1')).toMatchObject({ webSockets: 0, sessions: 0 }),
      patience,
    );
    for (const { node, socket } of opened)
      if (node === 'web2') expect(await echoed(socket, 'here too')).toBe('here too');
  });
}

const patience = { timeout: 15_000, interval: 20 };

interface Opened {
  readonly node: string;
  readonly socket: Duplex;
}

/** The opening handshake (RFC 6455, 4.1); the node is a header of the answer. */
async function openWebSocket(url: string): Promise<Opened> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const request = get(url, { agent: false, headers });
  const [answer, socket] = await once(request, 'upgrade', { signal: AbortSignal.timeout(30_000) });
  socket.on('error', () => {});
  return { node: answer.headers['x-node'], socket };
}

/** What comes back of some bytes. No frame is made of them: nobody between may look. */
async function echoed(socket: Duplex, text: string): Promise<string> {
  socket.write(text);
  const [data] = await once(socket, 'data', { signal: AbortSignal.timeout(30_000) });
  return String(data);
}
