import { Agent, type ClientRequest, type IncomingMessage, ServerResponse } from 'node:http';
import { connect, type NetConnectOpts, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createProxyServer } from 'httpxy';
import { messageOf } from '../core/errors.ts';
import { chooseServer, type PoolServer, recordAnswer } from './balancer-pool.ts';
import { type Agreed, answerOn, isWebSocket, joinWebSocket, type Side } from './balancer-web-socket.ts';

export interface Proxy {
  /** A way in: each request that comes there goes to a server that is taken at that moment. */
  front(takes: (server: PoolServer) => boolean): Front;
  /** How many are open to the server. */
  webSockets(server: PoolServer): number;
  /** Ends them at once. They are not counted any more when it returns. */
  closeWebSockets(server: PoolServer): void;
  /** Ends WebSockets; from now on clients are told to close their connections. */
  retire(): void;
  /** Ends the connections to servers that no request is on. */
  close(): void;
}

export interface Front {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** For a connection whose client wants it upgraded. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Requests so far that no server could take. */
  unserved(): number;
}

/**
 * Sends each request to a server that is ready, and counts it there until its answer has wholly ended or its client
 * has gone; a WebSocket until one of both ends it. A request of which a server cannot have seen anything goes to another
 * one. No other upgrade is made: the request is answered like any other (RFC 9110, 7.8).
 */
export function createProxy(all: readonly PoolServer[]): Proxy {
  const agent = new ConnectedAgent({ keepAlive: true, timeout: idleMs });
  const proxy = createProxyServer({ agent, xfwd: true, proxyTimeout: silenceMsMax });
  const exchanges = new WeakMap<IncomingMessage, Exchange>();
  const webSockets = new Set<WebSocket>();
  let retired = false;

  const forward = (
    exchange: Exchange,
    request: IncomingMessage,
    response: ServerResponse,
    why = '',
  ): void => {
    const servers = all.filter(exchange.takes);
    exchange.server = chooseServer(servers, exchange.tried);
    if (exchange.server === null) {
      exchange.unserved();
      refuse(response, 503, `no server can take the request: ${why || states(servers)}`);
      return;
    }
    const { host, port } = exchange.server;
    exchange.server.inFlight += 1;
    exchange.tried.add(exchange.server);
    exchange.sent = null;
    void proxy.web(request, response, { target: { protocol: 'http:', host, port } });
  };

  const open = (
    { server, sentAtMs }: Exchange,
    client: Side,
    response: ServerResponse,
    agreed: Agreed,
  ): void => {
    // It has left, or is about to, as from any request.
    if (client.socket.destroyed) return void agreed.socket.destroy();
    // Being opened is all of its answer: how long it lasts says nothing about the server.
    recordAnswer(server!, { status: 101, isCutOff: false, responseMs: performance.now() - sentAtMs });
    response.detachSocket(client.socket);
    const ended = (): void => {
      webSockets.delete(webSocket);
      server!.inFlight -= 1;
    };
    const webSocket: WebSocket = { server: server!, end: joinWebSocket(client, agreed, ended) };
    webSockets.add(webSocket);
  };

  proxy.on('proxyReq', (sent, request, response) => {
    const exchange = exchanges.get(request)!;
    exchange.sent = sent;
    exchange.sentAtMs = performance.now();
    exchange.server!.requests += 1;
    if (exchange.client !== null)
      sent.once('upgrade', (answer: IncomingMessage, socket: Socket, head: Buffer) =>
        open(exchange, exchange.client!, response as ServerResponse, { answer, socket, head }),
      );
  });
  proxy.on('proxyRes', (answer, request, response) => {
    const exchange = exchanges.get(request)!;
    exchange.answer = answer;
    exchange.responseMs = performance.now() - exchange.sentAtMs;
    for (const header of hopByHop) delete answer.headers[header];
    answer.headers.connection =
      retired || !(response as ServerResponse).shouldKeepAlive ? 'close' : 'keep-alive';
  });
  proxy.on('error', (error, request, response) => {
    if (!request || !(response instanceof ServerResponse)) return;
    const exchange = exchanges.get(request)!;
    if (response.destroyed || response.headersSent || exchange.server === null) {
      response.destroy();
      return;
    }
    const why = `${exchange.server.name}: ${messageOf(error)}`;
    if (!mayTryAnother(exchange, request)) return refuse(response, 502, `no answer from ${why}`);
    exchange.server.inFlight -= 1;
    forward(exchange, request, response, why);
  });

  return {
    front(takes) {
      let unserved = 0;
      const begin = (
        request: IncomingMessage,
        response: ServerResponse,
        client: Exchange['client'],
      ): void => {
        const exchange: Exchange = {
          takes,
          unserved: () => {
            unserved += 1;
          },
          client,
          tried: new Set(),
          server: null,
          sent: null,
          sentAtMs: 0,
          answer: null,
          responseMs: null,
        };
        exchanges.set(request, exchange);
        response.once('close', () => leave(exchange, response));
        // `expect` was answered already, by the server that the request came in through.
        for (const header of [...hopByHop, 'expect']) delete request.headers[header];
        if (client !== null) Object.assign(request.headers, { connection: 'Upgrade', upgrade: 'websocket' });
        forward(exchange, request, response);
      };
      return {
        handle: (request, response) => begin(request, response, null),
        upgrade(request, socket, head) {
          const response = answerOn(request, socket as Socket);
          if (hasBody(request)) refuse(response, 501, 'a request with a body cannot be upgraded');
          else begin(request, response, isWebSocket(request) ? { socket: socket as Socket, head } : null);
        },
        unserved: () => unserved,
      };
    },
    webSockets: (server) => [...webSockets].filter((one) => one.server === server).length,
    closeWebSockets(server) {
      for (const one of webSockets) if (one.server === server) one.end();
    },
    retire: () => {
      retired = true;
      for (const { end } of webSockets) end();
    },
    close: () => agent.destroy(),
  };
}

/** Shorter than servers keep an idle connection: a request must not meet one that is just being closed. */
const idleMs = 4000;
const connectMsMax = 2000;
const silenceMsMax = 60_000;

interface WebSocket {
  readonly server: PoolServer;
  readonly end: () => void;
}

/** A request, from when it came until its answer has ended. */
interface Exchange {
  readonly takes: (server: PoolServer) => boolean;
  /** Notes that no server could take it. */
  readonly unserved: () => void;
  /** The client's side of what is to be a WebSocket; null: an answer is all that is wanted. */
  readonly client: Side | null;
  readonly tried: Set<PoolServer>;
  server: PoolServer | null;
  /** The request to `server`, once there is a connection. */
  sent: ClientRequest | null;
  sentAtMs: number;
  answer: IncomingMessage | null;
  /** From when it was sent to the head of the answer. */
  responseMs: number | null;
}

/**
 * Gives out connections only once they are made. So an error before that proves that the server saw nothing, and the
 * body of the request is still whole.
 */
class ConnectedAgent extends Agent {
  override createConnection(
    options: NetConnectOpts,
    done: (error: Error | null, stream?: Duplex) => void,
  ): undefined {
    const socket = connect(options);
    const timer = setTimeout(
      () => socket.destroy(new Error(`no connection in ${connectMsMax} ms`)),
      connectMsMax,
    );
    const settle = (error: Error | null) => {
      clearTimeout(timer);
      socket.removeListener('error', settle);
      done(error, socket);
    };
    socket.once('error', settle);
    socket.once('connect', () => settle(null));
  }
}

/** Headers that are about one connection, and not passed on (RFC 9110, 7.6.1). */
const hopByHop = ['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade'] as const;

/**
 * Nothing was sent; or the request had no body, only asked, and was sent on a connection that had been used before:
 * the server may close such a one at any moment (RFC 9110, 9.2.2).
 */
const mayTryAnother = ({ sent }: Exchange, request: IncomingMessage): boolean =>
  sent === null || (sent.reusedSocket && ['GET', 'HEAD'].includes(request.method ?? '') && !hasBody(request));

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

/** A client that goes before there is an answer says nothing about the server. */
function leave({ server, answer, responseMs }: Exchange, response: ServerResponse): void {
  if (server === null) return;
  server.inFlight -= 1;
  if (answer === null && !response.headersSent) return;
  const isCutOff = !response.writableFinished && answer?.destroyed === true && !answer.complete;
  recordAnswer(server, { status: response.statusCode, isCutOff, responseMs });
}

function refuse(response: ServerResponse, status: 501 | 502 | 503, reason: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${status}: ${reason}\n`);
}

const states = (servers: readonly PoolServer[]): string =>
  servers
    .map(({ name, rotation, health }) => `${name} is ${rotation === 'in' ? health : rotation}`)
    .join(', ');
