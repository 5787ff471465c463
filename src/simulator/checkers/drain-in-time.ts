import { isReachable, type Server } from '../balancer.ts';
import type { Session } from '../session.ts';
import { nodeOf, type World } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * A drain is over a moment after the last request ended, or the site's time is: it never waits for nothing. Said of
 * drains during which nothing else went wrong, by balancers that can count.
 */
export const drainInTime: Checker = {
  name: 'drain-in-time',
  watch(world) {
    const begun = new Map<Session, Begun>();
    return (event) => {
      if (event.kind !== 'step' || event.step.kind !== 'drain') return null;
      const { session, step, state } = event;
      if (state === 'begins') {
        const atMs = world.clock.passedMs();
        const isUp =
          step.nodes.every((name) => nodeOf(world, name).isUp) &&
          world.members.every((member) => isReachable(member, atMs));
        begun.set(session, { atMs, strikes: strikes(world), isUp });
        return null;
      }
      const { atMs, strikes: before, isUp } = begun.get(session)!;
      if (strikes(world) > before || !isUp || !canCount(world, session)) return null;
      const servers = step.nodes.flatMap((node) => world.members.map(({ servers }) => servers.get(node)!));
      const idleSinceMs = Math.max(atMs, ...servers.map(quietSinceMs));
      const idleMs = world.clock.passedMs() - Math.min(idleSinceMs, atMs + world.site.drain.timeoutMs);
      if (idleMs <= slackMs + settleMs(world)) return null;
      return `${session.name} drained ${step.nodes.join(', ')} for ${idleMs} ms longer than it had to`;
    };
  },
};

interface Begun {
  readonly atMs: number;
  /** Faults that had struck by then. */
  readonly strikes: number;
  /** All machines of it, and all balancers: one that boots is waited for. */
  readonly isUp: boolean;
}

/** Round trips to nodes and balancers, a balancer's own delay, the last pause between two looks, and notes. */
const slackMs = 4000;

/** Nothing says sooner that what a balancer was told is so everywhere. */
const settleMs = ({ balancers }: World): number =>
  Math.max(0, ...balancers.map(({ capabilities }) => capabilities.settleMs));

const strikes = ({ faults }: World): number => [...faults.struck.values()].reduce((sum, n) => sum + n, 0);

/** What a process left behind since the run began nobody counts, and when that was nobody knows. */
const canCount = ({ balancers }: World, { startedAtMs }: Session): boolean =>
  balancers.every(
    ({ capabilities, members }) =>
      capabilities.sessions === 'exact' &&
      (capabilities.successor.requests === 'counted' ||
        members.every(({ replacedAtMs }) => replacedAtMs < startedAtMs)),
  );

const quietSinceMs = ({ sessions, idleSinceMs, leftAtMs }: Server): number =>
  sessions > 0 ? Number.POSITIVE_INFINITY : Math.max(idleSinceMs, leftAtMs);
