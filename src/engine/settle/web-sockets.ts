import type { NodeName } from '../../core/node.ts';
import { isAimedAt, type ServerState } from '../../core/observation.ts';
import { emit, type Run } from '../run.ts';
import { isEmpty, nodesOf, readWhole, seenBy, until } from './look.ts';
import { tell } from './tell.ts';

/**
 * Ends the WebSockets of nodes that get no traffic since `sinceMs`, once their time is over and nothing else is left there.
 * Only where the site gives them a time of their own. What is left in spite of it stays, for it harms nobody.
 */
export async function partFrom(run: Run, nodes: readonly NodeName[], sinceMs: number): Promise<void> {
  const { webSocketsMs, timeoutMs } = run.site.drain;
  const { clock } = run.ports;
  if (webSocketsMs === undefined) return;
  const webSockets = webSocketsOf(run);
  await until(run, webSocketsMs + timeoutMs, run.signal, async () => {
    const view = await readWhole(run.ports);
    const servers = view.servers
      .filter((server) => nodes.includes(server.node) && !isAimedAt(seenBy(run, view), server))
      .map((server) => ({ ...server, rotation: 'out' as const }));
    if (servers.every(({ sessions }) => sessions === 0)) return true;
    const passedMs = clock.nowMs() - sinceMs;
    const alone = await webSockets(servers);
    const due = passedMs >= webSocketsMs ? alone : [];
    await endSessions(
      run,
      servers.filter(({ node }) => due.includes(node)),
    );
    return passedMs >= webSocketsMs + timeoutMs ? true : null;
  });
}

/**
 * Finds nodes on which nothing but WebSockets is left, where these have a time of their own. Counts them at most once a second, for a balancer lists all sessions for
 * it. Meanwhile there are no more of them than there were, at servers that get nothing new.
 */
export function webSocketsOf(run: Run): (servers: readonly ServerState[]) => Promise<readonly NodeName[]> {
  let counts: ReadonlyMap<string, number> = new Map();
  let countedAtMs = Number.NEGATIVE_INFINITY;
  return async (servers) => {
    const open = nodesOf(servers).filter((node) => !isEmpty(servers, node));
    if (run.site.drain.webSocketsMs === undefined || open.length === 0) return [];
    const nowMs = run.ports.clock.nowMs();
    if (nowMs - countedAtMs >= webSocketsEveryMs) {
      countedAtMs = nowMs;
      counts = await countWebSockets(run);
    }
    const isAlone = ({ server, rotation, sessions }: ServerState): boolean =>
      rotation !== 'in' && sessions !== null && sessions <= (counts.get(server) ?? 0);
    return open.filter((node) => servers.every((server) => server.node !== node || isAlone(server)));
  };
}

const webSocketsEveryMs = 1000;

async function countWebSockets({ ports: { balancers }, signal }: Run): Promise<ReadonlyMap<string, number>> {
  const counts = await Promise.all(balancers.flatMap(({ webSockets }) => webSockets?.count(signal) ?? []));
  return new Map(counts.flatMap((one) => [...one]));
}

export async function endSessions(run: Run, servers: readonly ServerState[]): Promise<void> {
  const open = servers.filter(({ sessions }) => sessions !== 0);
  if (open.length === 0) return;
  const text = open.map(({ server, sessions }) => `${sessions} at ${server}`).join(', ');
  emit(run.ports, {
    type: 'note',
    level: 'info',
    text: `WebSockets are closed, their time is over: ${text}.`,
  });
  await tell(run, open, async ({ webSockets }, own) => webSockets?.close(own.map(({ server }) => server)));
}
