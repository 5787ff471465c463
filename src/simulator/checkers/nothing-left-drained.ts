import { isByHand, isRun, reportOf, type Session } from '../session.ts';
import { nodeOf } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * A run that says that all is well, or as it was, has nothing out of rotation any more that has a release to serve, but at a
 * balancer that it says it could not reach.
 */
export const nothingLeftDrained: Checker = {
  name: 'nothing-left-drained',
  watch(world) {
    const out = new Map<string, Session>();
    return (event) => {
      if (event.kind === 'rotation') {
        const { server, from, by } = event;
        const isOut = isRun(by) && server.rotation !== 'in';
        // One that was draining by other hands and is now out is still theirs.
        if (isOut && (from === 'in' || !isByHand(out.get(server.id) ?? by))) out.set(server.id, by);
        else if (!isOut) out.delete(server.id);
      }
      if (event.kind !== 'ended') return null;
      const { session } = event;
      const report = reportOf(session);
      if (!report || ![0, 1, 130, 143].includes(report.exit) || session.effects === 0) return null;
      const isAway = (balancer: string): boolean =>
        report.warnings.some((text) => text.startsWith(`${balancer} was not reached to the end`));
      const left = world.members.flatMap(({ isUp, balancer, servers }) =>
        [...(isAway(balancer) ? [] : servers.values())]
          .filter(
            ({ id, node }) => isUp && out.get(id) === session && nodeOf(world, node).disk.current !== null,
          )
          .map(({ id }) => id),
      );
      if (left.length === 0) return null;
      return `${session.name} ended (${report.outcome}) and left ${left.join(', ')} out of rotation`;
    };
  },
};
