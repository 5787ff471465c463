import { failure } from '../core/errors.ts';
import type { NodeName } from '../core/node.ts';
import type { ServerState } from '../core/observation.ts';
import type { Balancer, Ports, RotationChange } from '../ports.ts';
import { readBalancers, unreachableMember } from './observe.ts';
import type { NodeFailure, Run } from './run.ts';

/** Tells each balancer its part of the changes, all at the same time. Rejects with the first refusal, after all ended. */
export async function changeRotation(
  ports: Ports,
  servers: readonly ServerState[],
  to: RotationChange['to'],
): Promise<void> {
  const results = await Promise.allSettled(
    ports.balancers.map(async (balancer) => {
      const own = servers.filter((server) => server.balancer === balancer.name);
      if (own.length > 0) await balancer.change(own.map(({ node, server }) => ({ node, server, to })));
    }),
  );
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

const balancerOf = (ports: Ports, name: string): Balancer => {
  const balancer = ports.balancers.find((candidate) => candidate.name === name);
  if (!balancer) throw new RangeError(`no balancer ${name}`);
  return balancer;
};

/**
 * Waits until no request of `nodes` is left at any balancer: soft first where the balancer knows the difference (so
 * that sticky sessions may end), hard once a node is empty or half the time is over. What a balancer forgot, it is
 * told again. At the deadline the site's policy decides. Returns the nodes that did not drain.
 */
export async function awaitDrained(run: Run, nodes: readonly NodeName[]): Promise<readonly NodeFailure[]> {
  const { clock } = run.ports;
  const startMs = clock.nowMs();
  const { timeoutMs, onTimeout } = run.site.drain;
  for (;;) {
    const servers = await serversOfRun(run, nodes);
    const passedMs = clock.nowMs() - startMs;
    const forgotten = servers.filter((server) => isOurs(run, server) && server.rotation === 'in');
    if (forgotten.length > 0) await changeRotation(run.ports, forgotten, softest(run.ports, forgotten));
    const hardened = servers.filter(
      (server) =>
        isOurs(run, server) &&
        server.rotation === 'draining' &&
        drainOf(run.ports, server) === 'both' &&
        (isEmpty(servers, server.node) || passedMs >= timeoutMs / 2),
    );
    if (hardened.length > 0) await changeRotation(run.ports, hardened, 'out');
    if (forgotten.length > 0 || hardened.length > 0) continue;
    const busy = nodes.filter((node) => !isEmpty(servers, node));
    if (busy.length === 0) return [];
    if (passedMs >= timeoutMs) return overdue(run, busy, servers, onTimeout);
    await clock.sleep(Math.min(pauseAfter(passedMs), timeoutMs - passedMs), run.signal);
    if (run.signal.aborted) return [];
  }
}

/**
 * How long to wait before the next look: a part of the time that has passed, so that nothing takes longer than it must
 * by more than that part.
 */
export const pauseAfter = (passedMs: number, maxMs = 500): number =>
  Math.min(maxMs, Math.max(10, passedMs / 20));

/** Waits until every server of `nodes` that this run drained takes traffic again. Returns the nodes that do not. */
export async function awaitServing(run: Run, nodes: readonly NodeName[]): Promise<readonly NodeFailure[]> {
  const { clock } = run.ports;
  const startMs = clock.nowMs();
  const withinMs = run.site.drain.enableTimeoutMs;
  for (;;) {
    const servers = (await serversOfRun(run, nodes)).filter((server) => isOurs(run, server));
    const idle = servers.filter(
      ({ rotation, health }) => rotation !== 'in' || !['up', 'unchecked'].includes(health),
    );
    if (idle.length === 0) return [];
    const passedMs = clock.nowMs() - startMs;
    if (passedMs >= withinMs) {
      return nodes
        .map((node) => ({ node, own: idle.filter((server) => server.node === node) }))
        .filter(({ own }) => own.length > 0)
        .map(({ node, own }) => ({
          node,
          error: failure('ENABLE_TIMEOUT', { node, withinMs, seen: own.map(seen).join(', ') }),
        }));
    }
    await clock.sleep(Math.min(pauseAfter(passedMs), withinMs - passedMs));
  }
}

async function serversOfRun(run: Run, nodes: readonly NodeName[]): Promise<readonly ServerState[]> {
  const { members, servers } = await readBalancers(run.ports);
  const lost = members.find(({ unreachable }) => unreachable !== null);
  if (lost) throw unreachableMember(lost);
  return servers.filter(({ node }) => nodes.includes(node));
}

const isOurs = (run: Run, { node, server }: ServerState): boolean =>
  run.drained.get(node)?.includes(server) ?? false;

const isEmpty = (servers: readonly ServerState[], node: NodeName): boolean =>
  servers.every((server) => server.node !== node || server.sessions === 0);

/** The gentlest way out of rotation that all of these balancers know. */
export const softest = (ports: Ports, servers: readonly ServerState[]): 'draining' | 'out' =>
  servers.every((server) => drainOf(ports, server) !== 'hard') ? 'draining' : 'out';

const drainOf = (ports: Ports, { balancer }: ServerState): 'soft' | 'hard' | 'both' =>
  balancerOf(ports, balancer).capabilities.drain;

/** A balancer that cannot count is given the whole time, and then taken to be empty. */
function overdue(
  run: Run,
  busy: readonly NodeName[],
  servers: readonly ServerState[],
  onTimeout: 'force' | 'put-back',
): readonly NodeFailure[] {
  const withinMs = run.site.drain.timeoutMs;
  const sessionsOf = (node: NodeName): number =>
    servers.reduce((sum, server) => sum + (server.node === node ? (server.sessions ?? 0) : 0), 0);
  const late = busy.filter((node) => sessionsOf(node) > 0);
  if (onTimeout === 'put-back') {
    return late.map((node) => ({
      node,
      error: failure('DRAIN_TIMEOUT', { node, withinMs, sessions: requests(sessionsOf(node)) }),
    }));
  }
  for (const node of late) {
    run.warnings.push(
      `${node} was changed with ${requests(sessionsOf(node))} after ${withinMs} ms (drain.onTimeout: force).`,
    );
  }
  return [];
}

const requests = (n: number): string => `${n} request${n === 1 ? '' : 's'} in flight`;

const seen = ({ server, rotation, health }: ServerState): string => `${server} is ${rotation} and ${health}`;
