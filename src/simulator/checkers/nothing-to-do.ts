import { reportOf, type Session } from '../session.ts';

/** A deploy that is repeated changes nothing. */
export function somethingDone(session: Session): string | null {
  const report = reportOf(session);
  if (report?.outcome !== 'nothing to do')
    return `${session.name} repeats a finished deploy and ends as ${report?.outcome}: ${report?.failure?.message}`;
  return session.effects > 0 ? `${session.name} repeats a finished deploy and changes the site` : null;
}
