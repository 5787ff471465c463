import { failure } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import type { ServerState } from '../../core/observation.ts';
import type { NodeFailure, Run } from '../run.ts';
import { isOurs, readWhole, seenText, settleMsOf, until } from './look.ts';
import { changeRotation } from './tell.ts';

export interface Served {
  readonly late: readonly NodeFailure[];
  /** When every server was first read back to be in rotation. */
  readonly backAtMs: number;
  /** All servers that were seen last. */
  readonly shown: readonly ServerState[];
}

/** Puts back the servers of `nodes` that this run drained, and waits until every one of them takes traffic again. */
export async function awaitServing(run: Run, nodes: readonly NodeName[]): Promise<Served> {
  const { clock } = run.ports;
  const withinMs = run.site.drain.enableTimeoutMs;
  let backAtMs: number | null = null;
  let readyAtMs: number | null = null;
  let shown: readonly ServerState[] = [];
  const late = await until(run, withinMs, null, async (passedMs) => {
    shown = (await readWhole(run.ports)).servers;
    const servers = shown.filter((server) => nodes.includes(server.node) && isOurs(run, server));
    const out = servers.filter(({ rotation }) => rotation !== 'in');
    if (out.length > 0) await changeRotation(run, out, 'in');
    else backAtMs ??= clock.nowMs();
    const idle = servers.filter(
      ({ rotation, health }) => rotation !== 'in' || !['up', 'unchecked'].includes(health),
    );
    if (idle.length > 0) {
      readyAtMs = null;
      return passedMs >= withinMs ? stillIdle(nodes, idle, withinMs) : null;
    }
    readyAtMs ??= clock.nowMs();
    return clock.nowMs() - readyAtMs >= settleMsOf(run, servers) ? [] : null;
  });
  return { late, backAtMs: backAtMs ?? clock.nowMs(), shown };
}

const stillIdle = (
  nodes: readonly NodeName[],
  idle: readonly ServerState[],
  withinMs: number,
): readonly NodeFailure[] =>
  nodes
    .map((node) => ({ node, own: idle.filter((server) => server.node === node) }))
    .filter(({ own }) => own.length > 0)
    .map(({ node, own }) => ({
      node,
      error: failure('ENABLE_TIMEOUT', { node, withinMs, seen: own.map(seenText).join(', ') }),
    }));
