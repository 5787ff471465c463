import type { BalancerState, ServerState } from '../../core/observation.ts';
import type { Balancer, Ports, RotationChange } from '../../ports.ts';
import { activeBalancers, type Run } from '../run.ts';
import { drainOf, nodesOf, stillHeld } from './look.ts';

/**
 * Tells each balancer its part of the changes, those that hold no floating address first. Balancers know no fence, and a process may have
 * stood still: unless it was just seen, it is asked first whether this run still holds the nodes. Rejects with
 * `LOCK_LOST`, or with the first refusal, after all ended.
 */
export async function changeRotation(
  run: Run,
  servers: readonly ServerState[],
  to: RotationChange['to'],
): Promise<void> {
  await tell(run, servers, (balancer, own) =>
    balancer.change(own.map(({ node, server }) => ({ node, server, to }))),
  );
}

export async function tell(
  run: Run,
  servers: readonly ServerState[],
  order: (balancer: Balancer, own: readonly ServerState[]) => Promise<void>,
): Promise<void> {
  await stillHeld(run, nodesOf(servers));
  await inTurn(run, async (balancer) => {
    const own = servers.filter((server) => server.balancer === balancer.name);
    if (own.length > 0) await order(balancer, own);
  });
}

/**
 * Does `work` at the passive balancers, all at the same time, and only then at the active ones: who dies in between leaves
 * visitors with what was before. Rejects with the first refusal, after all of its turn ended.
 */
export async function inTurn(run: Run, work: (balancer: Balancer) => Promise<void>): Promise<void> {
  const active = activeBalancers(run);
  const isActive = ({ name }: Balancer): boolean => active.includes(name);
  const { balancers } = run.ports;
  for (const turn of [balancers.filter((one) => !isActive(one)), balancers.filter(isActive)]) {
    const results = await Promise.allSettled(turn.map(work));
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }
}

/** These processes know what this run set, unless it is known of one before them: then they are told all of it again. */
export function noteKnowing(run: Run, members: readonly BalancerState[]): void {
  for (const member of members) {
    const key = memberKey(member);
    if (!run.knowing.has(key)) run.knowing.set(key, member.incarnation);
  }
}

export const memberKey = ({ balancer, member }: Pick<BalancerState, 'balancer' | 'member'>): string =>
  JSON.stringify([balancer, member]);

/** The gentlest way out of rotation that all of these balancers know. */
export const softest = (ports: Ports, servers: readonly ServerState[]): 'draining' | 'out' =>
  servers.every((server) => drainOf(ports, server) !== 'hard') ? 'draining' : 'out';
