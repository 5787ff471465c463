import { setMaxListeners } from 'node:events';
import { Agent, type IncomingMessage, request as requestOf } from 'node:http';
import { createHistogram, performance } from 'node:perf_hooks';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { rapidClient } from './traffic-rapid.ts';
import { talk, type WebSocketEvents } from './traffic-web-socket.ts';

export interface TrafficOptions {
  /** `http://host:port` of what is asked. */
  readonly url: string;
  /** Clients that ask `paths` in turn, each its next question as soon as it has its answer. */
  readonly workers: number;
  readonly paths: readonly string[];
  /** An answer that is not whole by then is late, which is a failure. */
  readonly lateMs: number;
  /** Clients that ask nothing but `slow.path`: so many slow requests are in flight at all times. */
  readonly slow?: { readonly path: string; readonly workers: number; readonly lateMs: number };
  /** Clients that ask `rapid.path` at the least cost, on connections that they keep, be it for `perConnection` questions. */
  readonly rapid?: {
    readonly path: string;
    readonly workers: number;
    readonly perConnection?: number;
    /**
     * The most that all of them ask in a second, in small bursts, with rests at least as long: what is slow is not kept busy
     * by them. Default, and once `reach` is called: they never rest.
     */
    readonly perSecond?: number;
  };
  /** Clients that send a body of `bytes`, in pieces over `overMs`; the answer must have `received <bytes>` before its end. */
  readonly uploads?: {
    readonly path: string;
    readonly workers: number;
    readonly bytes: number;
    readonly overMs: number;
  };
  /** Clients that each hold a WebSocket, and talk on it. */
  readonly webSockets?: { readonly path: string; readonly workers: number };
  /** `mixed`, the default: every fourth client opens a new connection for each question. */
  readonly keepAlive?: 'always' | 'never' | 'mixed';
  /** What each body must end with. */
  readonly bodyEnd?: string;
  /** How long a client of `paths` rests between two questions; default 0. */
  readonly pauseMs?: number;
}

export interface Traffic {
  /** Resolves once so many requests have ended since the start. From now on rapid clients do not rest. */
  reach(requests: number): Promise<void>;
  /** Asks no more, waits for the answers that are due, and says what came. */
  stop(): Promise<TrafficReport>;
}

export interface TrafficReport {
  readonly requests: number;
  /** All that did not get its whole answer, with status 200, in time. No request is ever asked again. */
  readonly failed: number;
  /** The first 100 of them. */
  readonly failures: readonly TrafficFailure[];
  /** Of the failed: those whose answer began but was cut off, and those that came late. */
  readonly truncated: number;
  readonly late: number;
  readonly slowRequests: number;
  /** Of the requests: those that sent a body. */
  readonly uploads: number;
  /** Those that were opened, those that the other side ended, and the messages that came back. */
  readonly webSockets: { readonly opened: number; readonly closed: number; readonly messages: number };
  /** The fewest slow requests in flight, looked at every 10 ms from when all had begun; null without slow clients. */
  readonly slowInFlightMin: number | null;
  /** Of the requests that are neither slow nor uploads. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** How many answers came with each status. */
  readonly statuses: Readonly<Record<number, number>>;
  readonly tookMs: number;
}

export interface TrafficFailure {
  /** Since the start of the traffic. */
  readonly atMs: number;
  readonly path: string;
  readonly kind: 'truncated' | 'late' | 'refused' | 'wrong';
  readonly reason: string;
}

/** Begins to ask at once. Whatever an answer lacks is recorded, to its last byte. */
export function startTraffic(options: TrafficOptions): Traffic {
  const tally = new Tally(options.slow?.workers ?? 0);
  const stopping = new AbortController();
  const hurrying = new AbortController();
  // Every client listens to them.
  setMaxListeners(0, stopping.signal, hurrying.signal);
  const clients = [
    ...clientsOf(options).map((client) => converse(client, tally, stopping.signal)),
    ...rapidly(options, tally, stopping.signal, hurrying.signal),
    ...talking(options, tally, stopping.signal),
  ];
  const looks = setInterval(() => tally.look(), 10);
  return {
    async reach(requests) {
      hurrying.abort();
      while (tally.requests() < requests) await sleep(20);
    },
    async stop() {
      clearInterval(looks);
      stopping.abort();
      await Promise.all(clients);
      return tally.report();
    },
  };
}

const rapidly = (
  { url, rapid, lateMs, bodyEnd = '' }: TrafficOptions,
  tally: Tally,
  stopping: AbortSignal,
  hurrying: AbortSignal,
): readonly Promise<void>[] =>
  Array.from({ length: rapid?.workers ?? 0 }, async () => {
    const { path, workers, perConnection = Number.POSITIVE_INFINITY, perSecond } = rapid!;
    const { hostname: host, port } = new URL(url);
    const client = rapidClient({ host, port: Number(port), path, lateMs, bodyEnd });
    const pace = paceOf(perSecond === undefined ? Number.POSITIVE_INFINITY : perSecond / workers);
    const awake = AbortSignal.any([stopping, hurrying]);
    let burstMs = performance.now();
    for (let asked = 1; !stopping.aborted; asked++) {
      const startedMs = performance.now();
      tally.add('quick', path, startedMs, await client.ask());
      if (asked % perConnection === 0) client.close();
      if (awake.aborted || asked % pace.burst !== 0) continue;
      const tookMs = performance.now() - burstMs;
      await rest(Math.max(tookMs, pace.everyMs - tookMs), awake);
      burstMs = performance.now();
    }
    client.close();
  });

/** A rest after each question would cost more than the question. */
function paceOf(perSecond: number): { readonly burst: number; readonly everyMs: number } {
  const burst = Math.max(1, Math.round((perSecond * 50) / 1000));
  return { burst, everyMs: (burst * 1000) / perSecond };
}

const talking = (
  { url, webSockets, lateMs }: TrafficOptions,
  tally: Tally,
  stopping: AbortSignal,
): readonly Promise<void>[] =>
  Array.from({ length: webSockets?.workers ?? 0 }, () => {
    const { hostname: host, port } = new URL(url);
    const { path } = webSockets!;
    return talk({ host, port, path, pauseMs: messagePauseMs, lateMs }, tally.webSocketEvents(path), stopping);
  });

const messagePauseMs = 50;

/** One client: what it asks, over connections of its own. */
interface Client {
  readonly agent: Agent;
  readonly host: string;
  readonly port: string;
  readonly paths: readonly string[];
  readonly isSlow: boolean;
  readonly upload: { readonly bytes: number; readonly overMs: number } | null;
  readonly lateMs: number;
  readonly bodyEnd: string;
  readonly startAfterMs: number;
  readonly pauseMs: number;
}

function clientsOf(options: TrafficOptions): readonly Client[] {
  const {
    url,
    workers,
    paths,
    lateMs,
    slow,
    uploads,
    keepAlive = 'mixed',
    bodyEnd = '',
    pauseMs = 0,
  } = options;
  const { hostname: host, port } = new URL(url);
  const connections = (index: number) => ({
    agent: agentOf(keepAlive, index),
    host,
    port,
    bodyEnd,
    pauseMs,
    upload: null,
  });
  const quick = Array.from({ length: workers }, (_, index) => ({
    ...connections(index),
    paths: [...paths.slice(index % paths.length), ...paths.slice(0, index % paths.length)],
    isSlow: false,
    lateMs,
    startAfterMs: 0,
  }));
  const slowOnes = Array.from({ length: slow?.workers ?? 0 }, (_, index) => ({
    ...connections(index),
    paths: [slow!.path],
    isSlow: true,
    pauseMs: 0,
    lateMs: slow!.lateMs,
    startAfterMs: index * slowStaggerMs,
  }));
  const uploading = Array.from({ length: uploads?.workers ?? 0 }, (_, index) => ({
    ...connections(index),
    paths: [uploads!.path],
    isSlow: false,
    upload: uploads!,
    pauseMs: 0,
    lateMs: uploads!.overMs + lateMs,
    bodyEnd: `received ${uploads!.bytes}\n${bodyEnd}`,
    startAfterMs: index * slowStaggerMs,
  }));
  return [...quick, ...slowOnes, ...uploading];
}

/** Slow clients begin one after the other, so that they do not all end in the same moment. */
const slowStaggerMs = 250;

const freshEvery = 4;
const agentOf = (keepAlive: 'always' | 'never' | 'mixed', index: number): Agent =>
  keepAlive === 'always' || (keepAlive === 'mixed' && index % freshEvery !== freshEvery - 1)
    ? new Agent({ keepAlive: true, maxSockets: 1 })
    : // With a limit of sockets it would pass one on to the next question all the same.
      new Agent({ keepAlive: false });

async function converse(client: Client, tally: Tally, stopping: AbortSignal): Promise<void> {
  await rest(client.startAfterMs, stopping);
  for (let asked = 0; !stopping.aborted; asked++) {
    const path = client.paths[asked % client.paths.length]!;
    const startedMs = performance.now();
    if (client.isSlow) tally.slowBegan();
    const answer = await ask(client, path);
    if (client.isSlow) tally.slowEnded();
    tally.add(kindOf(client), path, startedMs, answer);
    await rest(client.pauseMs, stopping);
  }
  client.agent.destroy();
}

const kindOf = ({ isSlow, upload }: Client): RequestKind => (upload ? 'upload' : isSlow ? 'slow' : 'quick');

const rest = async (ms: number, stopping: AbortSignal): Promise<void> => {
  if (ms > 0) await sleep(ms, undefined, { signal: stopping }).catch(() => {});
};

interface Answer {
  /** Null if none came. */
  readonly status: number | null;
  readonly failure: Pick<TrafficFailure, 'kind' | 'reason'> | null;
}

const ask = (client: Client, path: string): Promise<Answer> =>
  new Promise((resolve) => {
    let status: number | null = null;
    const settle = (failure: Answer['failure']) => {
      clearTimeout(deadline);
      resolve({ status, failure });
    };
    const { agent, host, port, upload } = client;
    const more = upload && { method: 'POST', headers: { 'content-length': upload.bytes } };
    const request = requestOf({ agent, host, port, path, ...more });
    if (upload) void sendSlowly(request, upload);
    else request.end();
    const deadline = setTimeout(() => {
      settle({ kind: 'late', reason: `no whole answer within ${client.lateMs} ms` });
      request.destroy();
    }, client.lateMs);
    request.on('response', (response) => {
      status = response.statusCode ?? null;
      read(response, client.bodyEnd, settle);
    });
    request.on('error', (error) => {
      if (status === null) settle({ kind: 'refused', reason: error.message });
    });
  });

/** The last byte leaves at the end of the time. */
async function sendSlowly(
  request: Writable,
  { bytes, overMs }: { readonly bytes: number; readonly overMs: number },
): Promise<void> {
  const piece = Buffer.alloc(Math.ceil(bytes / uploadPieces), '.');
  for (let sent = 0; sent < bytes && !request.destroyed; sent += piece.length) {
    request.write(piece.subarray(0, bytes - sent));
    await sleep(overMs / uploadPieces);
  }
  if (!request.destroyed) request.end();
}

const uploadPieces = 10;

function read(
  response: IncomingMessage,
  bodyEnd: string,
  settle: (failure: Answer['failure']) => void,
): void {
  let bytes = 0;
  let tail = Buffer.alloc(0);
  response.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bodyEnd !== '') tail = Buffer.concat([tail, chunk]).subarray(-Buffer.byteLength(bodyEnd));
  });
  response.on('error', () => {});
  response.on('close', () => settle(judge(response, bytes, bodyEnd === '' || tail.toString() === bodyEnd)));
}

function judge(response: IncomingMessage, bytes: number, hasEnd: boolean): Answer['failure'] {
  const { 'content-length': length, 'transfer-encoding': encoding } = response.headers;
  if (!response.complete || (length !== undefined && Number(length) !== bytes))
    return { kind: 'truncated', reason: `cut off after ${bytes} of ${length ?? 'unknown'} bytes` };
  if (response.statusCode !== 200) return { kind: 'wrong', reason: `status ${response.statusCode}` };
  if (length === undefined && encoding !== 'chunked')
    return { kind: 'wrong', reason: 'neither a length nor chunks: nobody can tell whether it is whole' };
  return hasEnd ? null : { kind: 'truncated', reason: `${bytes} bytes without the end that every body has` };
}

const failuresShownMax = 100;

type RequestKind = 'quick' | 'slow' | 'upload';

class Tally {
  readonly #startedMs = performance.now();
  readonly #times = createHistogram();
  readonly #statuses: Record<number, number> = {};
  readonly #failures: TrafficFailure[] = [];
  readonly #counts = { requests: 0, failed: 0, truncated: 0, late: 0, slowRequests: 0, uploads: 0 };
  readonly #webSockets = { opened: 0, closed: 0, messages: 0 };
  readonly #slowClients: number;
  #slowInFlight = 0;
  #slowInFlightMin: number | null = null;

  constructor(slowClients: number) {
    this.#slowClients = slowClients;
  }

  slowBegan(): void {
    this.#slowInFlight++;
    if (this.#slowInFlight === this.#slowClients) this.#slowInFlightMin ??= this.#slowClients;
  }

  slowEnded(): void {
    this.#slowInFlight--;
  }

  look(): void {
    if (this.#slowInFlightMin !== null)
      this.#slowInFlightMin = Math.min(this.#slowInFlightMin, this.#slowInFlight);
  }

  requests(): number {
    return this.#counts.requests;
  }

  webSocketEvents(path: string): WebSocketEvents {
    return {
      opened: () => this.#webSockets.opened++,
      echoed: () => this.#webSockets.messages++,
      closed: () => this.#webSockets.closed++,
      failed: (reason) => this.#fail(path, { kind: 'refused', reason }),
    };
  }

  add(kind: RequestKind, path: string, startedMs: number, { status, failure }: Answer): void {
    this.#counts.requests++;
    if (kind === 'slow') this.#counts.slowRequests++;
    else if (kind === 'upload') this.#counts.uploads++;
    else this.#times.record(Math.max(1, Math.round((performance.now() - startedMs) * 1000)));
    if (status !== null) this.#statuses[status] = (this.#statuses[status] ?? 0) + 1;
    if (failure !== null) this.#fail(path, failure);
  }

  #fail(path: string, failure: Pick<TrafficFailure, 'kind' | 'reason'>): void {
    this.#counts.failed++;
    if (failure.kind === 'truncated' || failure.kind === 'late') this.#counts[failure.kind]++;
    if (this.#failures.length < failuresShownMax)
      this.#failures.push({ atMs: Math.round(performance.now() - this.#startedMs), path, ...failure });
  }

  report(): TrafficReport {
    return {
      ...this.#counts,
      failures: this.#failures,
      webSockets: this.#webSockets,
      slowInFlightMin: this.#slowInFlightMin,
      p50Ms: this.#times.percentile(50) / 1000,
      p99Ms: this.#times.percentile(99) / 1000,
      statuses: this.#statuses,
      tookMs: Math.round(performance.now() - this.#startedMs),
    };
  }
}
