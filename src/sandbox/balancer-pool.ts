/** A server behind the balancer. Its state changes as requests, checks and operators come. */
export interface PoolServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** It gets requests while the balancer sends them to this pool; null: always. */
  readonly pool: string | null;
  readonly configuredWeight: number;
  weight: number;
  rotation: Rotation;
  /** `unchecked` for good if no checks are made; else what they last said, in rotation or not. */
  health: 'up' | 'down' | 'starting' | 'unchecked';
  inFlight: number;
  /** Requests that were sent to it. */
  requests: number;
  /** Of these: those that ended, but not by their client going away before there was an answer. */
  answered: number;
  /** Of those: answered with 5xx, cut off, or not at all. */
  failures: number;
  /** Of those: answered with 4xx. */
  refused: number;
  /** The average time to the head of an answer, each of which counts for a 1024th; null before the first. */
  responseMs: number | null;
  /** Good answers to checks in a row; below 0: bad ones. */
  streak: number;
  /** What its weight has earned it since it was last chosen. */
  credit: number;
}

export type Rotation = 'in' | 'draining' | 'out';

export interface HealthCheck {
  readonly path: string;
  readonly intervalMs: number;
  /** Good answers in a row that make a server `up`, bad ones that make it `down`. */
  readonly rise: number;
  readonly fall: number;
}

/**
 * The server that the next request goes to, or null if none may take it: by turns, each as often as its weight says,
 * and as evenly spread as can be.
 */
export function chooseServer(
  servers: readonly PoolServer[],
  tried: ReadonlySet<PoolServer> = new Set(),
): PoolServer | null {
  const ready = servers.filter((server) => isReady(server) && !tried.has(server));
  for (const server of ready) server.credit += server.weight;
  const [chosen = null] = ready.toSorted((a, b) => b.credit - a.credit);
  if (chosen) chosen.credit -= ready.reduce((sum, { weight }) => sum + weight, 0);
  return chosen;
}

const isReady = ({ rotation, health, weight }: PoolServer): boolean =>
  rotation === 'in' && weight > 0 && (health === 'up' || health === 'unchecked');

/** A server that comes back gets no request before its checks were good anew: it may have changed meanwhile. */
export function setRotation(server: PoolServer, to: Rotation): void {
  if (to === 'in' && server.rotation !== 'in') {
    server.streak = 0;
    server.credit = 0;
    if (server.health !== 'unchecked') server.health = 'starting';
  }
  server.rotation = to;
}

/** How a request ended: `status` as the client saw it. */
export interface Ending {
  readonly status: number;
  readonly isCutOff: boolean;
  /** Until the head of the answer; null if none came. */
  readonly responseMs: number | null;
}

export function recordAnswer(server: PoolServer, { status, isCutOff, responseMs }: Ending): void {
  server.answered += 1;
  if (isCutOff || status >= 500) server.failures += 1;
  else if (status >= 400) server.refused += 1;
  if (responseMs === null) return;
  const average = server.responseMs ?? responseMs;
  server.responseMs = average + (responseMs - average) / Math.min(server.answered, 1024);
}

export function recordCheck(
  server: PoolServer,
  good: boolean,
  { rise, fall }: Omit<HealthCheck, 'path' | 'intervalMs'>,
): void {
  server.streak = good ? Math.max(server.streak, 0) + 1 : Math.min(server.streak, 0) - 1;
  if (server.streak >= rise) server.health = 'up';
  else if (good && server.health === 'down') server.health = 'starting';
  else if (!good && (server.health === 'starting' || -server.streak >= fall)) server.health = 'down';
}
