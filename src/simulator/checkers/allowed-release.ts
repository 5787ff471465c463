import { isRun } from '../session.ts';
import { nodeOf } from '../world.ts';
import type { Checker } from './checker.ts';

/** A node that a run puts into rotation has the release that the run brings, or the one that the node had before. */
export const allowedRelease: Checker = {
  name: 'allowed-release',
  watch: (world) => (event) => {
    if (event.kind !== 'rotation' || event.server.rotation !== 'in' || !isRun(event.by)) return null;
    const { by } = event;
    // Whoever enables a node by hand says so of what it has.
    if (by.command === 'enable') return null;
    const { name, disk } = nodeOf(world, event.server.node);
    const allowed = [by.release?.id, by.before.get(name)];
    if (disk.current !== null && allowed.includes(disk.current)) return null;
    return `${by.name} let ${name} take traffic with ${disk.current ?? 'no release at all'}`;
  },
};
