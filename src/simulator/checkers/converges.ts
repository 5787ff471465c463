import { reportOf, type Session } from '../session.ts';
import { serves, type World } from '../world.ts';

/** Once nothing fails any more, one deploy brings every node live, and all serve that no person holds out. */
export function notConverged(world: World, session: Session): string | null {
  const report = reportOf(session);
  if (report?.exit !== 0)
    return `${session.name} ended with ${report?.exit} (${report?.outcome}): ${report?.failure?.message}`;
  for (const { name, disk, application } of world.nodes.values()) {
    const revision = disk.current === null ? null : disk.releases.get(disk.current)?.revision;
    if (revision !== world.repository.head)
      return `${name} has ${disk.current}, which is not the branch's head`;
    if (application.release !== disk.current) return `${name} runs ${application.release}`;
    if (disk.lock !== null) return `${name} is locked`;
    const isHeld = world.members.some(({ servers }) => servers.get(name)!.isHeld);
    if (world.members.length > 0 && !serves(world, name) && !isHeld) return `${name} does not serve`;
  }
  return null;
}
