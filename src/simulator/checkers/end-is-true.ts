import type { Report } from '../../core/event.ts';
import type { Session } from '../session.ts';
import { isRun, reportOf } from '../session.ts';
import { isIdle, isPooled, lastLookOf, serves, type World } from '../world.ts';
import type { Checker } from './checker.ts';

/** What exit status and report say is so on nodes and balancers. */
export const endIsTrue: Checker = {
  name: 'end-is-true',
  watch(world) {
    const touched = new Map<Session, number>();
    return (event) => {
      if ((event.kind === 'effect' || event.kind === 'rotation') && isRun(event.by))
        touched.set(event.by, world.clock.passedMs());
      if (event.kind !== 'ended') return null;
      const { session } = event;
      const report = reportOf(session);
      if (!report) return null;
      if (report.exit === 2 || report.exit === 5) {
        return session.effects > 0 ? `${session.name} says ${report.outcome}, and changed the site` : null;
      }
      if (report.exit === 3 && report.failure === null && report.warnings.length === 0)
        return `${session.name} needs a person, and does not say what for`;
      // What another run did since this one looked it cannot know.
      const looked = Math.min(touched.get(session) ?? session.startedAtMs, lastLookOf(world, session));
      const isDisturbed = [...touched].some(([other, atMs]) => other !== session && atMs >= looked);
      return isDisturbed ? null : (falseReport(world, session, report) ?? falseExit(world, session, report));
    };
  },
};

function falseReport(world: World, session: Session, { nodes }: Report): string | null {
  const looked = lastLookOf(world, session);
  for (const { name, release, serving, servers } of nodes ?? []) {
    const { current } = world.nodes.get(name)!.disk;
    // A node that could not be read is reported as having nothing, and a balancer as having no servers.
    if (release !== null && current !== release)
      return `${session.name} reports ${release} on ${name}, which has ${current}`;
    const isRead = servers.length === world.members.length && servers.length > 0;
    if (isRead && world.disturbedAtMs < looked && serving !== serves(world, name))
      return `${session.name} reports that ${name} ${serving ? 'serves' : 'does not serve'}, which is not so`;
  }
  return null;
}

function falseExit(world: World, session: Session, { exit, outcome }: Report): string | null {
  if (exit !== 0 && exit !== 1) return null;
  const goesBack = exit === 1 || session.command === 'abort';
  if (goesBack && session.before.size === 0) return null;
  // Of two pools, which one must be as it was is what the run last saw.
  const isSeen = world.disturbedAtMs < lastLookOf(world, session);
  for (const name of session.plan?.target.nodes ?? []) {
    const { current } = world.nodes.get(name)!.disk;
    const wanted = goesBack ? session.before.get(name) : session.release?.id;
    // A pool that gets no requests again may keep what it was given.
    const isSpare = isIdle(world, name) || (isPooled(world) && !isSeen);
    if (current !== wanted && !(goesBack && isSpare))
      return `${session.name} says ${outcome}, and ${name} has ${current} instead of ${wanted}`;
  }
  return null;
}
