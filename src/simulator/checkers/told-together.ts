import type { NodeName } from '../../core/node.ts';
import { type Member, takesRequests } from '../balancer.ts';
import { isByHand, isRun, isUnderWay, type Session } from '../session.ts';
import { membersOf, type World } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * Wherever an address moves, visitors find out of rotation what a run under way has out: all balancers of a pair are told, and
 * one that could not be told, or forgot it, is told again a moment after it can be.
 */
export const toldTogether: Checker = {
  name: 'told-together',
  watch(world) {
    const out = new Map<NodeName, Out>();
    return (event) => {
      if (event.kind === 'rotation' && event.by !== 'fault') {
        const { server, by } = event;
        if (server.rotation === 'in' || !isRun(by) || isByHand(by)) out.delete(server.node);
        else if (!out.has(server.node)) out.set(server.node, { by, sinceMs: world.clock.passedMs() });
      }
      if (event.kind !== 'address') return null;
      const { holder, name } = event.address;
      const untold = membersOf(world, holder).flatMap((member) =>
        [...out].flatMap(([node, one]) => (isUntold(world, member, node, one) ? [node] : [])),
      );
      if (untold.length === 0) return null;
      return `${name} moved to ${holder}, which sends requests to ${untold.join(', ')} that a run has out`;
    };
  },
};

interface Out {
  readonly by: Session;
  readonly sinceMs: number;
}

function isUntold({ clock }: World, member: Member, node: NodeName, { by, sinceMs }: Out): boolean {
  const server = member.servers.get(node)!;
  if (!isUnderWay(by) || !member.isUp || !takesRequests(server)) return false;
  const couldSinceMs = Math.max(
    sinceMs,
    server.sinceMs,
    member.replacedAtMs,
    member.cutOffUntilMs,
    by.frozenUntilMs,
  );
  return clock.passedMs() - couldSinceMs > momentMs;
}

/** In which a run looks again, in spite of replies that are late or lost. */
const momentMs = 5000;
