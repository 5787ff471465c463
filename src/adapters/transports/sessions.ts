import { setTimeout as sleep } from 'node:timers/promises';
import { failure } from '../../core/errors.ts';
import type { Host } from '../../ports.ts';
import { slots } from './slots.ts';

/** The server opened no session for a command, of which nothing was run then. */
export class SessionRefused extends Error {}

/**
 * The sessions of one connection to `host`. A task that rejects with `SessionRefused` is done again a little later, for
 * as long as other sessions are open, which will end, and a while beyond: a server may allow fewer than sluice asks for,
 * and counts each for a moment longer than it takes. Rejects with `NODE_UNREACHABLE` in the end, and else as the task does.
 */
export function sessions(host: Pick<Host, 'name' | 'address'>): Sessions {
  const inSlot = slots(sessionsMax);
  let open = 0;
  return (task, signal) =>
    inSlot(async () => {
      for (let refusedAlone = 0; ; ) {
        signal?.throwIfAborted();
        open += 1;
        try {
          return await task();
        } catch (error) {
          if (!(error instanceof SessionRefused)) throw error;
          refusedAlone = open === 1 ? refusedAlone + 1 : 0;
          if (refusedAlone === refusedAloneMax) throw opensNone(host, error);
        } finally {
          open -= 1;
        }
        await sleep(pauseMs);
      }
    });
}

export type Sessions = <T>(task: () => Promise<T>, signal: AbortSignal | undefined) => Promise<T>;

/** sshd allows 10 sessions a connection by default (MaxSessions, sshd_config(5)); forwarded streams are none. */
const sessionsMax = 8;
const pauseMs = 100;
/** Whoever is alone on a connection gives up after two and a half seconds. */
const refusedAloneMax = 25;

const opensNone = ({ name, address }: Pick<Host, 'name' | 'address'>, error: SessionRefused): Error =>
  failure(
    'NODE_UNREACHABLE',
    { node: name, address, reason: `it opens no session (see MaxSessions of its sshd): ${error.message}` },
    error,
  );
