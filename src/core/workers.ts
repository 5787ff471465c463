import type { HookSpec, Workers } from './hook.ts';

/** The name in plans, which is not free for hooks of the user's. */
export const workersName = 'workers';

/**
 * Workers are brought to a release like all else of a node: after it was made live there, before it is proved. So a node
 * is never proved while its workers have another release, and whoever goes on from a dead run, or back, does it again.
 */
export const workersHooks = (workers: Workers | null): readonly HookSpec[] =>
  workers === null
    ? []
    : [
        {
          name: workersName,
          point: 'after:activate',
          action: {
            kind: 'nodes',
            command: workers.stop,
            role: workers.role,
            once: false,
            timeoutMs: workers.drainMs + startMs,
            workers,
          },
        },
      ];

/** How long they may take to come up, and to end once they are killed. */
const startMs = 10 * 60_000;
