import type { Checker } from './checker.ts';
import { unproved } from './proof-before-traffic.ts';

/** A release that has not answered its checks is on one batch at most, and on nodes that failed and were left out. */
export const blastRadius: Checker = {
  name: 'blast-radius',
  watch: (world) => (event) => {
    if (event.kind !== 'switched') return null;
    const { by, release } = event;
    const { step } = by;
    if (step?.kind !== 'activate' || by.release?.id !== release) return null;
    const others = [...world.nodes.values()].filter(
      (node) =>
        !step.nodes.includes(node.name) &&
        !by.leftOut.has(node.name) &&
        node.disk.current === release &&
        node.changedAtMs >= by.startedAtMs &&
        unproved(world, node).length > 0,
    );
    if (others.length === 0) return null;
    return `${by.name} put ${release} on ${event.node.name} before ${others.map(({ name }) => name).join(', ')} answered its checks`;
  },
};
