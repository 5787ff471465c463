import type { Purpose } from '../../core/plan.ts';
import type { Member, Server } from '../balancer.ts';
import { isByHand, isRun } from '../session.ts';
import { membersThatCount, type World } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * A run, with those that it goes on for, never has more nodes that served out of rotation at once than the strategy
 * takes out. Nodes that failed and are gone on without may be out beside them.
 */
export const outAtOnce: Checker = {
  name: 'out-at-once',
  watch(world) {
    const out = new Map<Server, Out>();
    return (event) => {
      if (event.kind !== 'rotation') return null;
      const { member, server, from, by } = event;
      if (server.rotation === 'in') out.delete(server);
      const served = from === 'in' && server.health === 'up';
      if (server.rotation === 'in' || !served || !isRun(by) || isByHand(by)) return null;
      out.set(server, { chain: by.chain, member });
      // What `sluice drain` took over from a run is a person's.
      const nodes = new Set(
        [...out].flatMap(([one, { chain, member }]) =>
          chain === by.chain && !one.isHeld && membersThatCount(world).includes(member) ? [one.node] : [],
        ),
      );
      const most =
        by.leftOut.size +
        (goesByFloor.includes(by.plan?.purpose ?? 'deploy') ? mostByFloor(world) : world.batchMax);
      if (nodes.size <= most) return null;
      return `${by.name} took ${server.node} out, and now ${[...nodes].join(', ')} are out because of runs; at most ${most} may be`;
    };
  },
};

interface Out {
  readonly chain: string;
  readonly member: Member;
}

/** A way back, and what nodes that are behind are brought on by, may take as many as the floor lets them. */
const goesByFloor: readonly Purpose[] = ['recovery', 'sync'];

const mostByFloor = ({ nodes, site, batchMax }: World): number =>
  Math.max(batchMax, nodes.size - site.servingMin);
