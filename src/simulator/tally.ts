import type { Answers } from '../core/counts.ts';
import type { NodeName } from '../core/node.ts';
import type { World } from './world.ts';

/** What every member has counted of each of its servers, and how often it was restarted. */
export type Tally = ReadonlyMap<
  string,
  { readonly restarts: number; readonly servers: ReadonlyMap<NodeName, Answers> }
>;

export const tallyOf = ({ members }: World): Tally =>
  new Map(
    members.map(({ name, restarts, servers }) => [
      name,
      { restarts, servers: new Map([...servers.values()].map(({ node, answers }) => [node, answers])) },
    ]),
  );

/** What was counted before a restart nobody knows. */
export const isRestarted = ({ members }: World, before: Tally): boolean =>
  members.some((member) => member.restarts !== before.get(member.name)!.restarts);

/** With so many requests on both sides, nobody takes such a difference for chance. */
export const plenty = 60;

export const errorShare = ({ requests, errors }: Pick<Answers, 'requests' | 'errors'>): number =>
  errors / requests;

export function answeredBy(
  { members }: World,
  before: Tally,
  nodes: readonly NodeName[],
): Pick<Answers, 'requests' | 'errors'> {
  let [requests, errors] = [0, 0];
  for (const member of members) {
    for (const node of nodes) {
      const was = before.get(member.name)!.servers.get(node)!;
      const { answers: now } = member.servers.get(node)!;
      requests += now.requests - was.requests;
      errors += now.errors - was.errors;
    }
  }
  return { requests, errors };
}
