import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface Side {
  readonly socket: Socket;
  /** What came of it already, behind the head of the request or of the answer. */
  readonly head: Buffer;
}

/** What the server made of it. */
export interface Agreed extends Side {
  readonly answer: IncomingMessage;
}

/**
 * Joins a client that asked for a WebSocket and the server that agreed (RFC 9110, 7.8), until one of them ends it or what is
 * returned is called. Then `ended` is called, once.
 */
export function joinWebSocket(client: Side, server: Agreed, ended: () => void): () => void {
  let isOver = false;
  const end = () => {
    if (isOver) return;
    isOver = true;
    client.socket.destroy();
    server.socket.destroy();
    ended();
  };
  client.socket.once('close', end);
  // What it said last is still to reach the client.
  server.socket.on('error', () => {}).once('close', () => client.socket.destroySoon());
  for (const { socket } of [client, server]) socket.setTimeout(0).setNoDelay(true);
  server.socket.write(client.head);
  client.socket.write(headOf(server.answer));
  client.socket.write(server.head);
  client.socket.pipe(server.socket).pipe(client.socket);
  return end;
}

const headOf = ({ rawHeaders }: IncomingMessage): string =>
  [
    'HTTP/1.1 101 Switching Protocols',
    ...rawHeaders.flatMap((name, i) => (i % 2 === 0 ? [`${name}: ${rawHeaders[i + 1]}`] : [])),
    '\r\n',
  ].join('\r\n');

export const isWebSocket = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket';

/** An answer on a connection that Node.js has let go of, for an upgrade. The connection ends with it. */
export function answerOn(request: IncomingMessage, socket: Socket): ServerResponse {
  const response = new ServerResponse(request);
  response.shouldKeepAlive = false;
  response.assignSocket(socket);
  response.once('finish', () => socket.destroySoon());
  socket.on('error', () => {});
  return response;
}
