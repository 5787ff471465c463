import { note } from '../commands/note.ts';
import { failure } from '../core/errors.ts';
import { isoTime } from '../core/instant.ts';
import type { NodeName } from '../core/node.ts';
import { liveRelease, nodeState, releaseOn, serversOf } from '../core/observation.ts';
import type { Release, Revision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import type { Step } from '../core/step.ts';
import { namedNodes } from '../core/target.ts';
import type { Ports } from '../ports.ts';
import { executeSteps } from './execute.ts';
import { finishRun, keepLock, takeLock } from './lock.ts';
import { assemble, observe, observeBalancers } from './observe.ts';
import { refuseUnfit } from './preflight.ts';
import { fenceFor, newRun, newRunId, nodeOf, onNode, type Run } from './run.ts';

export interface ManualRequest {
  readonly nodes: readonly NodeName[];
  readonly to: 'in' | 'out';
  /** Out: although the floor would not hold. In: without checks. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/**
 * Takes nodes out of rotation for manual work, or puts them back once they answered their checks as their live
 * release. A node taken out so is an operator's: deploys leave it out until it is enabled by hand. Takes the lock.
 * Rejects with what stood in the way.
 */
export async function setRotation(site: Site, ports: Ports, request: ManualRequest): Promise<void> {
  const nodes = namedNodes(site.nodes, request.nodes);
  const first = await observe(site, ports, request.signal);
  refuseUnfit(site, first);
  const unknown = nodes.filter((node) => serversOf(first, node).length === 0);
  if (unknown.length > 0) throw failure('NODE_UNBALANCED', { nodes: unknown });
  const id = newRunId(ports);
  const reason = `${request.to === 'in' ? 'enable' : 'drain'} ${nodes.join(', ')} by hand`;
  const observed = assemble(
    await takeLock({ site, ports, run: id, reason, intent: null, from: null }),
    await observeBalancers(ports),
  );
  const floor = request.force ? { ...site, servingMin: 0 } : site;
  const lost = new AbortController();
  const signal = AbortSignal.any([request.signal, lost.signal]);
  const run = newRun({ id, site: floor, ports, release: noRelease, signal, observed });
  const keeping = keepLock(run, (error) => lost.abort(error));
  try {
    const stop = await executeSteps(
      request.to === 'in' ? enabling(run, nodes, request.force) : draining(nodes),
      run,
    );
    if (request.to === 'out') await handOver(run, nodes);
    const text = `${reason} by ${ports.operator.name}${stop ? `: ${stop.error.message}` : ''}`;
    const historyLine = JSON.stringify({ at: isoTime(ports.clock.nowMs()), run: id, text });
    await finishRun(run, { logLine: null, historyLine });
    if (stop) throw stop.error;
  } finally {
    await keeping.stop();
  }
}

/** Work by hand brings no release. */
const noRelease = { id: '', revision: '' } as unknown as Release;

const draining = (nodes: readonly NodeName[]): readonly Step[] => [{ kind: 'drain', nodes }];

/** Each node is asked as the release that it has; all its servers come in, whoever took them out. */
function enabling(run: Run, nodes: readonly NodeName[], force: boolean): readonly Step[] {
  for (const node of nodes)
    run.drained.set(
      node,
      serversOf(run.observed, node).map(({ server }) => server),
    );
  const checks = nodes.flatMap((name): readonly Step[] => {
    const state = nodeState(run.observed, name);
    const id = liveRelease(state);
    if (id === null || force) return [];
    return [
      {
        kind: 'check',
        nodes: [name],
        release: { id, revision: releaseOn(state, id)?.revision ?? ('' as Revision) },
      },
    ];
  });
  return [...checks, { kind: 'enable', nodes }];
}

/** What this run has out is from now on the operator's. */
async function handOver(run: Run, nodes: readonly NodeName[]): Promise<void> {
  await Promise.all(
    nodes.map((name) => onNode(run.ports, nodeOf(run.site, name), note(fenceFor(run, name), []))),
  );
}
