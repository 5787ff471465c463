import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';

export interface WebSocketOptions {
  readonly host: string;
  readonly port: string;
  readonly path: string;
  /** Between two messages. */
  readonly pauseMs: number;
  /** An echo that did not come by then will not come. */
  readonly lateMs: number;
}

export interface WebSocketEvents {
  opened(): void;
  /** A message came back as it was sent. */
  echoed(): void;
  /** It ended, and not by this side. */
  closed(): void;
  /** There was no connection, or an echo was late or wrong. */
  failed(reason: string): void;
}

/** Holds a WebSocket to a server that echoes, and talks on it until the signal; opens another one when it ends. */
export async function talk(
  options: WebSocketOptions,
  events: WebSocketEvents,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const socket = await upgraded(options).catch((error: unknown) => {
      events.failed(String(error));
      return null;
    });
    if (socket === null) {
      await sleep(options.pauseMs);
      continue;
    }
    events.opened();
    await converse(socket, options, events, signal);
    socket.destroy();
  }
}

/** The opening handshake (RFC 6455, 4.1); the answer's key is not looked at, for nobody is to be protected from here. */
async function upgraded({ host, port, path, lateMs }: WebSocketOptions): Promise<Duplex> {
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
  };
  const signal = AbortSignal.timeout(lateMs);
  const request = get({ agent: new Agent(), host, port, path, headers });
  // Also one that comes once nobody waits any more.
  request.on('error', () => {});
  const refused = once(request, 'response', { signal }).then(([response]) => {
    throw new Error(`status ${(response as IncomingMessage).statusCode}, and no WebSocket`);
  });
  try {
    const [, socket] = (await Promise.race([once(request, 'upgrade', { signal }), refused])) as [
      unknown,
      Duplex,
    ];
    return socket;
  } catch (error) {
    request.destroy();
    throw error;
  }
}

async function converse(
  socket: Duplex,
  { pauseMs, lateMs }: WebSocketOptions,
  events: WebSocketEvents,
  signal: AbortSignal,
): Promise<void> {
  const ending = new AbortController();
  // A message that crosses the end is answered by a reset.
  for (const end of ['end', 'error', 'close']) socket.on(end, () => ending.abort('closed'));
  for (let count = 0; !signal.aborted && !ending.signal.aborted; count++) {
    const text = `message ${count}`;
    const echo = once(socket, 'data', {
      signal: AbortSignal.any([ending.signal, AbortSignal.timeout(lateMs)]),
    });
    socket.write(frameOf(text));
    const [data] = (await echo.catch(() => [null])) as [Buffer | null];
    if (ending.signal.aborted) break;
    if (data?.subarray(2).toString() !== text) return events.failed(`${text} did not come back`);
    events.echoed();
    await sleep(pauseMs, undefined, { signal: ending.signal }).catch(() => {});
  }
  if (ending.signal.aborted) events.closed();
}

/** A text message of less than 126 bytes in one frame, masked as a client must (RFC 6455, 5.2 and 5.3), with zeros. */
const frameOf = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
