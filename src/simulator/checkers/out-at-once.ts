import type { Server } from '../balancer.ts';
import { isByHand, isRun } from '../session.ts';
import type { World } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * Runs never have more nodes that served out of rotation at once than the strategy takes out, those counted that a run
 * before left out. Nodes that failed and are gone on without may be out beside them. A way back may take as many as the floor lets it.
 */
export const outAtOnce: Checker = {
  name: 'out-at-once',
  watch(world) {
    const out = new Set<Server>();
    return (event) => {
      if (event.kind !== 'rotation') return null;
      const { server, from, by } = event;
      if (server.rotation === 'in') out.delete(server);
      const served = from === 'in' && server.health === 'up';
      if (server.rotation === 'in' || !served || !isRun(by) || isByHand(by)) return null;
      out.add(server);
      // What `sluice drain` took over from a run is a person's.
      const nodes = new Set([...out].filter(({ isHeld }) => !isHeld).map(({ node }) => node));
      const most = by.leftOut.size + (by.plan?.purpose === 'recovery' ? mostByFloor(world) : world.batchMax);
      if (nodes.size <= most) return null;
      return `${by.name} took ${server.node} out, and now ${[...nodes].join(', ')} are out because of runs; at most ${most} may be`;
    };
  },
};

const mostByFloor = ({ nodes, site, batchMax }: World): number =>
  Math.max(batchMax, nodes.size - site.servingMin);
