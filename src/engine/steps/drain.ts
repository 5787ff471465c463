import { note } from '../../commands/note.ts';
import type { NodeName } from '../../core/node.ts';
import { isServing, nodeState, type Observation } from '../../core/observation.ts';
import { drainedBy } from '../../core/predict.ts';
import type { Site } from '../../core/site.ts';
import type { StepOf } from '../../core/step.ts';
import type { Balancer } from '../../ports.ts';
import {
  eachNode,
  fenceFor,
  journalLine,
  type NodeFailure,
  onEach,
  onHeld,
  type Run,
  stepFailed,
  writeLater,
} from '../run.ts';
import { awaitDrained, beginDrain } from '../settle/drained.ts';
import { lookAboveFloor, readAll, seenBy } from '../settle/look.ts';
import type { StepHandler } from './handler.ts';

type Drain = StepOf<'drain'>;

export const drain: StepHandler<'drain'> = {
  describe: ({ nodes }, { balancers }, site) =>
    nodes.flatMap((node) =>
      balancers.flatMap((balancer) => [
        `${balancer.name}: ${balancer.describe({ node, server: null, to: balancer.capabilities.drain === 'hard' ? 'out' : 'draining' })}, ${untilEmpty(balancer, site)}`,
        ...(balancer.capabilities.drain === 'both'
          ? [`${balancer.name}: ${balancer.describe({ node, server: null, to: 'out' })}`]
          : []),
      ]),
    ),
  async execute(step, run) {
    try {
      const failed = await recordIntent(step, run, await lookFirst(step, run));
      const nodes = step.nodes.filter((name) => !failed.some(({ node }) => node === name));
      return [...failed, ...(await takeOut({ ...step, nodes }, run))];
    } catch (error) {
      return stepFailed(run, error);
    }
  },
};

function untilEmpty({ capabilities }: Balancer, { drain }: Site): string {
  if (capabilities.sessions !== 'none') return 'until no request is in flight';
  return drain.port === null
    ? `and wait for ${drain.timeoutMs / 1000} s, for it cannot count what is in flight and drain.port is not set`
    : `until no connection to port ${drain.port} is left on the node`;
}

/** Nothing is written of nodes that may not leave. */
async function lookFirst({ nodes }: Drain, run: Run): Promise<Observation> {
  const floor = run.site.servingMin;
  return seenBy(run, await lookAboveFloor(run, { nodes, floor }, () => readAll(run)));
}

/** Each node is told first which of its servers this run takes out, so that whoever comes next knows. */
function recordIntent(step: Drain, run: Run, observed: Observation): Promise<readonly NodeFailure[]> {
  const before = [journalLine(run, step, 'begin')];
  return onEach(run, step, (node) => {
    const known = run.drained.get(node.name) ?? [];
    const servers = [...new Set([...drainedBy(observed, nodeState(observed, node.name)), ...known])];
    run.drained.set(node.name, servers);
    return onHeld(run, node, note(fenceFor(run, node.name, { before }), servers));
  });
}

async function takeOut(step: Drain, run: Run): Promise<readonly NodeFailure[]> {
  const { nodes } = step;
  for (const node of nodes) run.forced.delete(node);
  await beginDrain(run, {
    nodes,
    servingMin: run.site.servingMin,
    choose: ({ members, servers }) => {
      noteLeaving(run, nodes, { ...run.observed, balancers: members, servers });
      return servers.filter(
        ({ node, rotation, server }) =>
          nodes.includes(node) && rotation === 'in' && run.drained.get(node)?.includes(server),
      );
    },
  });
  const late = new Map((await awaitDrained(run, nodes)).map(({ node, error }) => [node, error]));
  return eachNode(run, step, async ({ name }) => {
    const error = late.get(name);
    if (error) throw error;
    writeLater(run, name, journalLine(run, step, 'done'));
    return null;
  });
}

function noteLeaving(run: Run, nodes: readonly NodeName[], observed: Observation): void {
  const leftAtMs = run.ports.clock.nowMs();
  for (const node of nodes.filter((name) => isServing(observed, name))) {
    run.rotation.set(node, { leftAtMs, outMs: run.rotation.get(node)?.outMs ?? 0 });
  }
}
