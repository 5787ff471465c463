import { list } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import { type BalancerState, poolNodes, type ServerState } from '../../core/observation.ts';
import type { BalancerView } from '../../ports.ts';
import { isSameMember } from '../in-flight.ts';
import { emit, type Run } from '../run.ts';
import { noteStray } from './drained.ts';
import { guardCapacity, shownAs, turnTo } from './flipped.ts';
import { drainOf, isOurs, lookHeld, nodesOf, readWhole, serversAt, stillHeld } from './look.ts';
import { changeRotation, inTurn, memberKey } from './tell.ts';
import { setWeights } from './weights.ts';

/** Once: what balancers forgot of the nodes that this run has out they are told again, and nothing new comes there. */
export async function tellForgotten(run: Run, nodes: readonly NodeName[]): Promise<void> {
  const wasOut = new Set(
    run.observed.servers.filter(({ rotation }) => rotation !== 'in').map(({ server }) => server),
  );
  const forgotten = (await readWhole(run.ports)).servers.filter(
    (server) =>
      nodes.includes(server.node) &&
      isOurs(run, server) &&
      wasOut.has(server.server) &&
      server.rotation === 'in',
  );
  if (forgotten.length === 0) return;
  await lookHeld(run, nodesOf(forgotten));
  for (const node of nodesOf(forgotten)) noteStray(run, node);
  const isSoft = forgotten.some((server) => drainOf(run.ports, server) === 'soft');
  await changeRotation(run, forgotten, isSoft ? 'draining' : 'out');
}

/**
 * Once: weights and a flip of this run that a balancer forgot when its process gave way to another it is told again. What a process that
 * knew them shows else was set by somebody.
 */
export async function tellAnew(run: Run): Promise<void> {
  if (!hasSet(run)) return;
  const view = await readWhole(run.ports);
  const anew = view.members.filter((member) => run.knowing.get(memberKey(member)) !== member.incarnation);
  if (anew.length === 0) return;
  const isAnew = (server: ServerState): boolean => anew.some((member) => isSameMember(member, server));
  await setWeights(run, {
    nodes: [...run.weights.keys()],
    weightOf: (server) => (isAnew(server) ? run.weights.get(server.node)! : server.weight),
  });
  await flipAgain(run, anew, view);
  for (const member of anew) run.knowing.set(memberKey(member), member.incarnation);
}

/** Whether there is anything that a balancer could forget beside who is out. */
export const hasSet = ({ weights, flipped }: Run): boolean => weights.size > 0 || flipped !== null;

async function flipAgain(run: Run, anew: readonly BalancerState[], view: BalancerView): Promise<void> {
  const { flipped } = run;
  const strayed = anew.filter(({ pool }) => flipped !== null && pool !== null && pool !== shownAs(flipped));
  if (flipped === null || strayed.length === 0) return;
  const { to } = flipped;
  guardCapacity(run, view, to);
  // One that is down gets nothing, and may be past asking.
  const isUp = (node: NodeName): boolean =>
    serversAt(view.servers, node).some(({ health }) => health !== 'down');
  await stillHeld(run, poolNodes(run.observed, to).filter(isUp));
  guardCapacity(run, await readWhole(run.ports), to);
  await inTurn(run, async (balancer) => {
    if (strayed.some((member) => member.balancer === balancer.name)) await turnTo(balancer, flipped);
  });
  const names = [...new Set(strayed.map(({ balancer }) => balancer))];
  emit(run.ports, {
    type: 'note',
    level: 'warning',
    text: `${list(names)} started anew and had forgotten the flip: ${flipped.share === undefined ? 'its requests go' : `${flipped.share} % of its requests go`} to ${to} again.`,
  });
}
