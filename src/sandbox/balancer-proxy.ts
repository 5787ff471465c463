import { Agent, type ClientRequest, type IncomingMessage, ServerResponse } from 'node:http';
import { connect, type NetConnectOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import { createProxyServer } from 'httpxy';
import { messageOf } from '../core/errors.ts';
import { chooseServer, type PoolServer, recordAnswer } from './balancer-pool.ts';

export interface Proxy {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Requests so far that no server could take. */
  unserved(): number;
  /** From now on clients are told to close their connections. */
  retire(): void;
  /** Ends the connections to servers that no request is on. */
  close(): void;
}

/**
 * Sends each request to a server that is ready, and counts it there until its answer has wholly ended or its client
 * has gone. A request of which a server cannot have seen anything goes to another one. Upgrades are not supported:
 * such a request is answered like any other.
 */
export function createProxy(all: readonly PoolServer[], livePool: () => string | null): Proxy {
  const agent = new ConnectedAgent({ keepAlive: true, timeout: idleMs });
  const proxy = createProxyServer({ agent, xfwd: true, proxyTimeout: silenceMsMax });
  const exchanges = new WeakMap<IncomingMessage, Exchange>();
  let unserved = 0;
  let retired = false;

  const forward = (
    exchange: Exchange,
    request: IncomingMessage,
    response: ServerResponse,
    why = '',
  ): void => {
    const servers = all.filter(({ pool }) => pool === null || pool === livePool());
    exchange.server = chooseServer(servers, exchange.tried);
    if (exchange.server === null) {
      unserved += 1;
      refuse(response, 503, `no server can take the request: ${why || states(servers)}`);
      return;
    }
    const { host, port } = exchange.server;
    exchange.server.inFlight += 1;
    exchange.tried.add(exchange.server);
    exchange.sent = null;
    void proxy.web(request, response, { target: { protocol: 'http:', host, port } });
  };

  proxy.on('proxyReq', (sent, request) => {
    const exchange = exchanges.get(request)!;
    exchange.sent = sent;
    exchange.sentAtMs = performance.now();
    exchange.server!.requests += 1;
  });
  proxy.on('proxyRes', (answer, request) => {
    const exchange = exchanges.get(request)!;
    exchange.answer = answer;
    exchange.responseMs = performance.now() - exchange.sentAtMs;
    for (const header of hopByHop) delete answer.headers[header];
    answer.headers.connection = retired ? 'close' : 'keep-alive';
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
    handle(request, response) {
      const exchange: Exchange = {
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
      forward(exchange, request, response);
    },
    unserved: () => unserved,
    retire: () => {
      retired = true;
    },
    close: () => agent.destroy(),
  };
}

/** Shorter than servers keep an idle connection: a request must not meet one that is just being closed. */
const idleMs = 4000;
const connectMsMax = 2000;
const silenceMsMax = 60_000;

/** A request, from when it came until its answer has ended. */
interface Exchange {
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

function refuse(response: ServerResponse, status: 502 | 503, reason: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(`${status}: ${reason}\n`);
}

const states = (servers: readonly PoolServer[]): string =>
  servers
    .map(({ name, rotation, health }) => `${name} is ${rotation === 'in' ? health : rotation}`)
    .join(', ');
