import { inspect, unreadable } from '../commands/inspect.ts';
import { type DeployError, failure, isDeployError } from '../core/errors.ts';
import type { Node } from '../core/node.ts';
import {
  type AddressState,
  type BalancerState,
  isBeingChecked,
  type NodeState,
  type Observation,
} from '../core/observation.ts';
import type { Site } from '../core/site.ts';
import type { Balancer, BalancerView, Ports } from '../ports.ts';
import { onNode } from './run.ts';
import { witnessesOf } from './witnesses.ts';

/** Reads the whole site, all nodes and balancers at the same time. What cannot be read says why; it never rejects for that. */
export async function observe(
  site: Site,
  ports: Ports,
  signal?: AbortSignal,
  front: typeof observeFront = observeFront,
): Promise<Observation> {
  const read = (nodes: readonly Node[]): Promise<readonly NodeState[]> =>
    Promise.all(nodes.map((node) => readNode(site, ports, node, signal)));
  const [nodes, witnesses, view] = await Promise.all([
    read(site.nodes),
    read(witnessesOf(site, ports)),
    front(ports, signal),
  ]);
  return { ...assemble(nodes, view), witnesses };
}

/** What happened and what to do next, where only one sentence is kept. */
export const inFull = ({ message, hint }: DeployError): string =>
  hint === null ? message : `${message} (${hint})`;

/** What stands in front of the nodes, at one moment. */
export interface FrontView extends BalancerView {
  readonly addresses: readonly AddressState[];
}

export const assemble = (nodes: readonly NodeState[], view: FrontView): Observation => ({
  nodes: Object.fromEntries(nodes.map((node) => [node.name, { ...node, drained: stillOut(node, view) }])),
  witnesses: [],
  balancers: view.members,
  servers: view.servers,
  addresses: view.addresses,
});

/** What stands in a node's record and was put back since, by an operator or by a restart, is no longer a run's. */
const stillOut = ({ drained }: NodeState, { servers }: BalancerView): readonly string[] =>
  drained.filter((name) => servers.find(({ server }) => server === name)?.rotation !== 'in');

export async function readNode(
  site: Site,
  ports: Ports,
  node: Node,
  signal?: AbortSignal,
): Promise<NodeState> {
  try {
    return await onNode(ports, node, inspect(node, site), signal ? { signal } : {});
  } catch (error) {
    if (!isDeployError(error)) throw error;
    return unreadable(node, inFull(error));
  }
}

/** All balancers, together. Rejects where one refuses to be read; a member that does not answer is data. */
export async function readBalancers(ports: Ports, signal?: AbortSignal): Promise<BalancerView> {
  return together(await Promise.all(ports.balancers.map((balancer) => balancer.observe(signal))));
}

/** Who holds each address, all asked at the same time. What cannot be asked is data. */
export const readAddresses = (ports: Ports, signal?: AbortSignal): Promise<readonly AddressState[]> =>
  Promise.all(ports.addresses.map((address) => address.holders(signal)));

/** As a whole observation has it: whatever is wrong with a member is a sentence beside it. */
export async function observeFront(ports: Ports, signal?: AbortSignal): Promise<FrontView> {
  const [views, addresses] = await Promise.all([
    Promise.all(ports.balancers.map((balancer) => describeBalancer(balancer, signal))),
    readAddresses(ports, signal),
  ]);
  return { ...together(views), addresses };
}

/**
 * The same for what goes by who serves, a plan say: a balancer that restarts has its servers to check first, and is given
 * a moment.
 */
export async function observeSettledFront(ports: Ports, signal?: AbortSignal): Promise<FrontView> {
  const { clock } = ports;
  const deadlineMs = clock.nowMs() + patienceMs;
  for (;;) {
    const view = await observeFront(ports, signal);
    const isSettled = !view.servers.some(isBeingChecked);
    if (isSettled || clock.nowMs() >= deadlineMs || signal?.aborted) return view;
    await clock.sleep(250, signal);
  }
}

/** How long something that cannot be read, or is just being checked, may take, where no other deadline says so. */
export const patienceMs = 5000;

async function describeBalancer(balancer: Balancer, signal?: AbortSignal): Promise<BalancerView> {
  try {
    const { members, servers } = await balancer.observe(signal);
    return { members: members.map(inWords), servers };
  } catch (error) {
    if (!isDeployError(error)) throw error;
    const { name } = balancer;
    return {
      members: [{ balancer: name, member: name, unreachable: inFull(error), incarnation: '', pool: null }],
      servers: [],
    };
  }
}

const inWords = (state: BalancerState): BalancerState =>
  state.unreachable === null ? state : { ...state, unreachable: unreachableMember(state).message };

export const unreachableMember = ({ balancer, member, unreachable }: BalancerState): DeployError =>
  failure('BALANCER_UNREACHABLE', { balancer, address: member, reason: unreachable ?? 'it did not answer' });

const together = (views: readonly BalancerView[]): BalancerView => ({
  members: views.flatMap(({ members }) => members),
  servers: views.flatMap(({ servers }) => servers),
});
