import { countConnections } from '../commands/connections.ts';
import type { NodeName } from '../core/node.ts';
import type { BalancerState, ServerState } from '../core/observation.ts';
import type { BalancerView } from '../ports.ts';
import { capabilitiesOf, nodeOf, onNode, type Run } from './run.ts';

/**
 * The servers of `nodes`, with what is in flight there as well as anyone can tell. What a balancer cannot count is null,
 * never 0: a process that gave way to another may still serve requests that its successor does not know of. The
 * connections of such a node are counted on the node itself, if the site says on which port.
 */
export async function inFlight(
  run: Run,
  { members, servers }: BalancerView,
  nodes: readonly NodeName[],
): Promise<readonly ServerState[]> {
  const blind = members.filter((member) => isBlind(run, member));
  const isUnknown = (server: ServerState): boolean => blind.some((member) => isSameMember(member, server));
  const seen = servers
    .filter(({ node }) => nodes.includes(node))
    .map((server) => (isUnknown(server) ? { ...server, sessions: null } : server));
  const counted = await countOnNodes(run, seen);
  return seen.map((server) => {
    const onNode = server.sessions === null ? counted.get(server.node) : undefined;
    return onNode === undefined ? server : { ...server, sessions: onNode };
  });
}

/** Its process was replaced while this run looked on, and the one before may still serve what nobody counts. */
function isBlind(run: Run, member: BalancerState): boolean {
  const { balancer, unreachable } = member;
  if (unreachable !== null) return false;
  isReplaced(run, member);
  const nowMs = run.ports.clock.nowMs();
  const replacedAtMs = run.processes.find((process) => isSameMember(process, member))?.replacedAtMs ?? null;
  const { successor } = capabilitiesOf(run.ports, balancer);
  return (
    successor.requests === 'uncounted' &&
    replacedAtMs !== null &&
    nowMs - replacedAtMs < run.site.drain.timeoutMs
  );
}

/** Notes the process of a member that was read, and says whether it took the place of the one that was seen last. */
export function isReplaced(run: Run, member: BalancerState): boolean {
  const { balancer, incarnation } = member;
  const before = run.processes.find((process) => isSameMember(process, member));
  if (before === undefined) {
    run.processes.push({ balancer, member: member.member, incarnation, replacedAtMs: null });
    return false;
  }
  if (before.incarnation === incarnation) return false;
  Object.assign(before, { incarnation, replacedAtMs: run.ports.clock.nowMs() });
  return true;
}

type MemberName = Pick<BalancerState, 'balancer' | 'member'>;

export const isSameMember = (one: MemberName, other: MemberName): boolean =>
  one.balancer === other.balancer && one.member === other.member;

/** Of those that are to be emptied, and of which something is unknown. */
async function countOnNodes(
  run: Run,
  servers: readonly ServerState[],
): Promise<ReadonlyMap<NodeName, number>> {
  const { port } = run.site.drain;
  if (port === null) return new Map();
  const unknown = servers.filter(({ sessions, rotation }) => sessions === null && rotation !== 'in');
  const nodes = [...new Set(unknown.map(({ node }) => node))];
  const counts = await Promise.all(
    nodes.map((node) => onNode(run.ports, nodeOf(run.site, node), countConnections(port))),
  );
  return new Map(nodes.map((node, index) => [node, counts[index]!]));
}
