import { note } from '../commands/note.ts';
import { type DeployError, failure } from '../core/errors.ts';
import type { NodeName } from '../core/node.ts';
import {
  isLowered,
  liveRelease,
  nodeState,
  type Observation,
  releaseOn,
  serversOf,
} from '../core/observation.ts';
import type { Revision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import { type Step, type StepOf, shift } from '../core/step.ts';
import { namedNodes } from '../core/target.ts';
import type { Ports } from '../ports.ts';
import { byHand } from './by-hand.ts';
import { executeSteps } from './execute.ts';
import { guardFloor } from './floor.ts';
import { observe, observeSettledFront } from './observe.ts';
import { refuseLocked, refuseUnfit } from './preflight.ts';
import { emit, expected, fenceFor, onHeld, presentNodes, type Run, together } from './run.ts';
import { awaitDrained, beginDrain } from './settle/drained.ts';

export interface ManualRequest {
  readonly nodes: readonly NodeName[];
  readonly to: 'in' | 'out';
  /** Although most nodes cannot be locked; out: although the floor would not hold; in: without checks. */
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/**
 * Takes nodes out of rotation for manual work, or puts them back once they answered their checks as their live
 * release. A node taken out so is an operator's: deploys leave it out until it is enabled by hand. Takes the lock of the
 * nodes that can be reached, for an ill fleet is what this is there for. Rejects with what stood in the way.
 */
export async function setRotation(site: Site, ports: Ports, request: ManualRequest): Promise<void> {
  const nodes = namedNodes(site.nodes, request.nodes);
  const first = await observe(site, ports, request.signal, observeSettledFront);
  refuseLocked(first);
  if (request.to === 'in') refuseUnfit(site, only(first, nodes));
  const unknown = nodes.filter((node) => serversOf(first, node).length === 0);
  if (unknown.length > 0) throw failure('NODE_UNBALANCED', { nodes: unknown });
  if (request.to === 'out' && !request.force) guardFloor(nodes, site.servingMin, first);
  const reason = `${request.to === 'in' ? 'enable' : 'drain'} ${nodes.join(', ')} by hand`;
  await byHand(site, ports, { ...request, first, reason, flag: '--force' }, async (run) => {
    const error = await rotate(run, nodes, request);
    if (request.to === 'out') await handOver(run, nodes);
    return error;
  });
}

async function rotate(
  run: Run,
  nodes: readonly NodeName[],
  { to, force }: ManualRequest,
): Promise<DeployError | null> {
  try {
    return to === 'in' ? await putIn(run, nodes, force) : await takeOut(run, nodes, force);
  } catch (error) {
    return expected(run.signal, error);
  }
}

/** What an earlier run had out is from now on the operator's. A node that is ill keeps its record. */
async function handOver(run: Run, nodes: readonly NodeName[]): Promise<void> {
  const able = presentNodes(run).filter(({ name }) => nodes.includes(name));
  await Promise.allSettled(able.map((node) => onHeld(run, node, note(fenceFor(run, node.name), []))));
}

/** What concerns these nodes: others may be ill. */
const only = (observed: Observation, nodes: readonly NodeName[]): Observation => ({
  ...observed,
  nodes: Object.fromEntries(Object.entries(observed.nodes).filter(([name]) => nodes.includes(name))),
});

async function takeOut(run: Run, nodes: readonly NodeName[], force: boolean): Promise<DeployError | null> {
  const step: StepOf<'drain'> = { kind: 'drain', nodes };
  const startMs = run.ports.clock.nowMs();
  emit(run.ports, { type: 'step-started', step, index: 0, total: 1 });
  for (const node of nodes) run.drained.set(node, namesOf(run.observed, node));
  await beginDrain(run, {
    nodes,
    servingMin: force ? 0 : run.site.servingMin,
    choose: ({ servers }) =>
      servers.filter(({ node, rotation }) => nodes.includes(node) && rotation === 'in'),
  });
  const late = await awaitDrained(run, nodes);
  if (late.length > 0) return together(late);
  emit(run.ports, { type: 'step-done', step, index: 0, tookMs: run.ports.clock.nowMs() - startMs });
  return null;
}

const namesOf = (observed: Observation, node: NodeName): readonly string[] =>
  serversOf(observed, node).map(({ server }) => server);

/** Each node is asked as the release that it has; all its servers come in, with their whole weight, whoever took them out. */
async function putIn(run: Run, nodes: readonly NodeName[], force: boolean): Promise<DeployError | null> {
  for (const node of nodes) run.drained.set(node, namesOf(run.observed, node));
  const checks = nodes.flatMap((name): readonly Step[] => {
    const state = nodeState(run.observed, name);
    const id = liveRelease(state);
    if (id === null || force) return [];
    const revision = releaseOn(state, id)?.revision ?? ('' as Revision);
    return [{ kind: 'check', nodes: [name], release: { id, revision } }];
  });
  const lowered = nodes.filter((name) => isLowered(run.observed, name));
  const weights = lowered.length > 0 ? [shift(lowered, 100)] : [];
  const stop = await executeSteps([...checks, ...weights, { kind: 'enable', nodes }], run);
  return stop?.error ?? null;
}
