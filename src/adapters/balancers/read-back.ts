import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Reads again until `isApplied`, a few times within about two seconds, and returns what was read last: the API of a hosted balancer may
 * still show what was so before a change that it took.
 */
export async function readBack<T>(
  read: () => Promise<T>,
  isApplied: (seen: T) => boolean,
  signal?: AbortSignal,
): Promise<T> {
  for (const pauseMs of pausesMs) {
    const seen = await read();
    if (isApplied(seen)) return seen;
    await sleep(pauseMs, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
  }
  return read();
}

const pausesMs = [100, 200, 400, 800, 800] as const;
