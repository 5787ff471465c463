import { reportOf, type SessionCommand } from '../session.ts';
import { nodeOf } from '../world.ts';
import type { Checker } from './checker.ts';

/** A run that says it is done has brought its release to every node that had joined when it read the list last. */
export const joinGate: Checker = {
  name: 'join-gate',
  watch: (world) => (event) => {
    if (event.kind !== 'ended' || reportOf(event.session)?.outcome !== 'done') return null;
    const { name, command, joined, release } = event.session;
    if (!gated.has(command)) return null;
    const without = joined.find((node) => release && !nodeOf(world, node).disk.releases.has(release.id));
    return without === undefined ? null : `${name} is done, and ${without} joined without ${release?.id}`;
  },
};

/** Those that bring a release to all nodes. */
const gated: ReadonlySet<SessionCommand> = new Set(['deploy', 'rollback', 'resume', 'promote', 'sync']);
