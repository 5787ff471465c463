import { writeMapEntry } from '../../commands/map-entry.ts';
import { failure } from '../../core/errors.ts';
import type { PoolName } from '../../core/node.ts';
import type { BalancerName } from '../../core/site.ts';
import type { Transport } from '../../ports.ts';
import type { HaproxyOptions } from './haproxy-options.ts';
import { placeOf, runAt } from './haproxy-place.ts';

/**
 * The entry of a map that chooses the backend (configuration manual, 7.3.1, `map`): one change of it moves all new
 * requests.
 */
export interface Switch {
  /** Shows the entry. */
  readonly read: string;
  /** The pool whose backend the answer to `read` names; null: there is no such entry, or it names another. */
  poolIn(answer: string | undefined): PoolName | null;
  /** Changes the entry at run time. */
  write(pool: PoolName): string;
  /** The map file is within reach: what is written there outlives the process. */
  readonly isKept: boolean;
  /** Writes the entry to the map file. Rejects with `BALANCER_REFUSED`, or as the transport does. */
  keep(pool: PoolName, signal?: AbortSignal): Promise<void>;
}

/** Null, unless there is a backend for each pool and a map that chooses among them. */
export function switchOf(
  balancer: BalancerName,
  { backend: backends, map, host, socket }: HaproxyOptions,
  transport: Transport,
): Switch | null {
  if (map === null || isList(backends)) return null;
  const backendOf = (pool: PoolName): string => {
    const backend = backends[pool];
    if (backend !== undefined) return backend;
    throw failure('BALANCER_REFUSED', {
      balancer,
      request: `flip to ${pool}`,
      answer: 'it has no backend for it',
    });
  };
  const place = map.keep ? placeOf({ host, socket }, transport) : null;
  return {
    read: `get map ${map.file} ${map.key}`,
    poolIn(answer) {
      const [, value] = /, key="[^"]*", value="([^"]*)"/.exec(answer ?? '') ?? [];
      return Object.entries(backends).find(([, backend]) => backend === value)?.[0] ?? null;
    },
    write: (pool) => `set map ${map.file} ${map.key} ${backendOf(pool)}`,
    isKept: place !== null,
    async keep(pool, signal) {
      if (place === null) return;
      const command = writeMapEntry({ file: map.file, key: map.key, value: backendOf(pool) });
      await runAt(place, balancer, command, signal ? { signal } : {});
    },
  };
}

export const isList = (backends: HaproxyOptions['backend']): backends is readonly string[] =>
  Array.isArray(backends);
