import { mayHaveCron } from '../../core/cron.ts';
import type { SimulatedNode } from '../node.ts';
import { reportOf, type Session } from '../session.ts';
import { isBroken, isIdle, isReady, serves, type World } from '../world.ts';

/**
 * Once nothing fails any more, one deploy brings every node live, of two pools those of the one that it sends traffic to;
 * and all serve, or are ready to, that no person holds out.
 */
export function notConverged(world: World, session: Session): string | null {
  const report = reportOf(session);
  if (report?.exit !== 0)
    return `${session.name} ended with ${report?.exit} (${report?.outcome}): ${report?.failure?.message}`;
  for (const node of world.nodes.values()) {
    const { name, disk, application } = node;
    const revision = disk.current === null ? null : disk.releases.get(disk.current)?.revision;
    const idle = isIdle(world, name);
    if (revision !== world.repository.head && !idle)
      return `${name} has ${disk.current}, which is not the branch's head`;
    if (application.release !== disk.current) return `${name} runs ${application.release}`;
    if (disk.lock !== null) return `${name} is locked`;
    const isHeld = world.members.some(({ servers }) => servers.get(name)!.isHeld);
    const isOwner = cronHolder(world) === name;
    if (disk.cron.length > 0 && !isOwner) return `${name} has the cron beside ${cronHolder(world)}`;
    // What an earlier run left out of a pool without traffic is put back when that is renewed.
    const isWell = idle
      ? isReady(world, name) || disk.drained.length > 0 || !canServe(world, node)
      : serves(world, name);
    if (world.members.length > 0 && !isWell && !isHeld) return `${name} does not serve`;
  }
  const able = [...world.nodes.values()].some(
    ({ name, disk }) => mayHaveCron(world.site, name) && disk.current !== null,
  );
  if (able && cronHolder(world) === null) return 'no node has the cron';
  return null;
}

/** The node that may begin jobs; of several the one that got them last. */
const cronHolder = ({ nodes }: World): string | null =>
  [...nodes.values()]
    .filter(({ disk }) => disk.cronSince !== null)
    .toSorted((a, b) => (a.disk.cronSince! < b.disk.cronSince! ? 1 : -1))[0]?.name ?? null;

const canServe = (world: World, node: SimulatedNode): boolean =>
  node.disk.current !== null && !isBroken(world, node, node.disk.current);
