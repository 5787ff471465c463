import { setTimeout as sleep } from 'node:timers/promises';
import { type DeployError, failure, isDeployError } from '../../core/errors.ts';
import type { Hop, Route } from './route.ts';
import { type Slots, slots } from './slots.ts';

/**
 * Keeps one connection for each route, opened at first use and shared by all who ask, jump hosts too. A connection
 * that was lost is opened anew by whoever asks next. Openings that fail for a passing reason are tried again.
 */
export class Pool<Connection> {
  readonly #options: PoolOptions<Connection>;
  readonly #connections = new Map<string, Entry<Connection>>();
  readonly #openings = slots(openingsMax);
  readonly #openingsThrough = new Map<string, Slots>();
  readonly #closing = new AbortController();
  #opened = 0;

  constructor(options: PoolOptions<Connection>) {
    this.#options = options;
  }

  /** How many connections were opened since the start. */
  get opened(): number {
    return this.#opened;
  }

  get(route: Route): Promise<Connection> {
    const key = keyOf(route);
    const known = this.#connections.get(key);
    if (known) return known.opening;
    const forget = (): void => {
      if (this.#connections.get(key) === entry) this.#connections.delete(key);
    };
    const entry = { depth: route.length, opening: this.#open(route, forget) };
    this.#connections.set(key, entry);
    entry.opening.catch(forget);
    return entry.opening;
  }

  /** Ends every connection, those behind a jump host before the jump host. Nothing can be opened any more. */
  async close(): Promise<void> {
    this.#closing.abort();
    const entries = [...this.#connections.values()];
    this.#connections.clear();
    for (const depth of new Set(entries.map((entry) => entry.depth).sort((a, b) => b - a))) {
      await Promise.all(entries.filter((entry) => entry.depth === depth).map((entry) => this.#end(entry)));
    }
  }

  async #open(route: Route, onLost: () => void): Promise<Connection> {
    const hop = route.at(-1)!;
    for (let attempt = 1; ; attempt += 1) {
      const via = route.length > 1 ? await this.get(route.slice(0, -1)) : null;
      try {
        return await this.#attempt(route, () => this.#openOnce(hop, via, onLost));
      } catch (error) {
        if (!this.#isWorthwhile(error, attempt)) throw error;
      }
      await sleep(backOffMs(attempt), undefined, { signal: this.#closing.signal }).catch(() => undefined);
    }
  }

  /** A jump host's own slots come first, so that nobody holds one of the common slots while it waits for them. */
  #attempt(route: Route, open: () => Promise<Connection>): Promise<Connection> {
    if (route.length === 1) return this.#openings(open);
    const key = keyOf(route.slice(0, -1));
    const through = this.#openingsThrough.get(key) ?? slots(openingsThroughOneMax);
    this.#openingsThrough.set(key, through);
    return through(() => this.#openings(open));
  }

  async #openOnce(hop: Hop, via: Connection | null, onLost: () => void): Promise<Connection> {
    const { signal } = this.#closing;
    if (signal.aborted) throw closed(hop);
    const connection = await this.#options.open(hop, via, { onLost, signal });
    this.#opened += 1;
    return connection;
  }

  #isWorthwhile(error: unknown, attempt: number): boolean {
    if (this.#closing.signal.aborted || attempt >= this.#options.attemptsMax) return false;
    return isDeployError(error, 'NODE_UNREACHABLE') && this.#options.isPassing(error);
  }

  async #end({ opening }: Entry<Connection>): Promise<void> {
    const connection = await opening.catch(() => null);
    if (connection !== null) await this.#options.end(connection);
  }
}

export interface PoolOptions<Connection> {
  /**
   * Opens a connection to `hop`, through `via` if that is not null, and calls `onLost` when it is lost. Rejects with
   * a `DeployError`, and early if `signal` is aborted.
   */
  readonly open: (hop: Hop, via: Connection | null, events: OpenEvents) => Promise<Connection>;
  readonly end: (connection: Connection) => Promise<void>;
  /** Whether the same may well succeed a moment later. */
  readonly isPassing: (error: DeployError) => boolean;
  readonly attemptsMax: number;
}

interface Entry<Connection> {
  /** How many hops its route has. */
  readonly depth: number;
  readonly opening: Promise<Connection>;
}

export interface OpenEvents {
  readonly onLost: () => void;
  readonly signal: AbortSignal;
}

/** Connections that are being opened at a time: no storm for the operator's machine, and for name servers. */
const openingsMax = 30;
/**
 * sshd drops connections when 10 are not logged in yet (MaxStartups, sshd_config(5)), and counts each for a moment longer
 * than it takes.
 */
const openingsThroughOneMax = 8;

const keyOf = (route: Route): string =>
  route.map((hop) => `${hop.user}@${hop.hostName}:${hop.port}`).join(' ');

/** Doubles from a quarter of a second, with chance in it so that those who failed together do not come back together. */
const backOffMs = (attempt: number): number => 250 * 2 ** (attempt - 1) * (0.5 + Math.random());

const closed = ({ name, address }: Hop): DeployError =>
  failure('NODE_UNREACHABLE', { node: name, address, reason: 'the transport is closed' });
