import { staleMsMax } from '../balancer.ts';
import { isByHand, isRun } from '../session.ts';
import { nodeOf } from '../world.ts';
import type { Checker } from './checker.ts';
import { lookHoldsMs } from './floor.ts';

/**
 * What a person took out of rotation no run puts back, but one that a person tells to. A run that noted a server as
 * its own before it could see that it was taken out is not to blame.
 */
export const oursOnly: Checker = {
  name: 'ours-only',
  watch(world) {
    const held = new Set<string>();
    return (event) => {
      if (event.kind === 'effect') {
        for (const member of world.members) {
          const { id, sinceMs } = member.servers.get(event.node.name)!;
          const unseen =
            sinceMs > (event.by.looks.get(member.name) ?? 0) ||
            world.clock.passedMs() - sinceMs <= lookHoldsMs + staleMsMax;
          if (unseen && event.node.disk.drained.includes(id)) held.delete(id);
        }
      }
      if (event.kind !== 'rotation') return null;
      const { server, by } = event;
      if (isByHand(by) && server.rotation !== 'in') {
        if (!nodeOf(world, server.node).disk.drained.includes(server.id)) held.add(server.id);
        return null;
      }
      if (server.rotation !== 'in' || !held.delete(server.id)) return null;
      if (!isRun(by) || by.command === 'enable') return null;
      return `${by.name} put ${server.id} back, which an operator took out`;
    };
  },
};
