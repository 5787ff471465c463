import type { Member, Server } from '../balancer.ts';
import { isRun, type Session } from '../session.ts';
import { mayBeAway, type World } from '../world.ts';
import type { Checker } from './checker.ts';

/**
 * While a run holds it changes nothing on nodes, but its own marks there; and takes nothing out of rotation. A balancer that it went
 * on without, and that is back, is told meanwhile what all others have, for it may get the visitors at any moment: a hold
 * lasts long. Then the nodes' record of what is out there follows.
 */
export const stillWhileHeld: Checker = {
  name: 'still-while-held',
  watch(world) {
    const holding = new Set<Session>();
    return (event) => {
      if (event.kind === 'step' && event.step.kind === 'hold') {
        if (event.state === 'begins') holding.add(event.session);
        else holding.delete(event.session);
      }
      if (event.kind !== 'effect' && event.kind !== 'rotation') return null;
      const { by } = event;
      if (!isRun(by) || !holding.has(by)) return null;
      if (event.kind === 'rotation') {
        const { member, server } = event;
        if (wasAway(world, member, by) && isAsElsewhere(world, member, server)) return null;
        return `${by.name} told a balancer ${event.server.id} ${event.server.rotation} while it held`;
      }
      if (/^drained: /.test(event.what) && world.members.some((one) => wasAway(world, one, by))) return null;
      return /^hold .* is over$|^\d{14} (checked|failed|once)$/.test(event.what)
        ? null
        : `${by.name} changed ${event.node.name} (${event.what}) while it held`;
    };
  },
};

const wasAway = (world: World, member: Member, { startedAtMs }: Session): boolean =>
  mayBeAway(world, member) && Math.max(member.replacedAtMs, member.cutOffUntilMs) >= startedAtMs;

/** Every other balancer has the node in, or has it out, as this one has by now. */
const isAsElsewhere = ({ members }: World, { balancer }: Member, { node, rotation }: Server): boolean =>
  members
    .filter((other) => other.balancer !== balancer)
    .every(({ servers }) => (servers.get(node)!.rotation === 'in') === (rotation === 'in'));
