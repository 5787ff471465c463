import { note } from '../../commands/note.ts';
import type { Node } from '../../core/node.ts';
import type { ServerState } from '../../core/observation.ts';
import type { StepOf } from '../../core/step.ts';
import {
  eachNode,
  fenceFor,
  journalLine,
  type NodeFailure,
  onEach,
  onHeld,
  type Run,
  stepFailed,
} from '../run.ts';
import { awaitServing } from '../settle/serving.ts';
import type { StepHandler } from './handler.ts';

type Enable = StepOf<'enable'>;

export const enable: StepHandler<'enable'> = {
  describe: ({ nodes }, { balancers }) =>
    nodes.flatMap((node) =>
      balancers.map(
        (balancer) =>
          `${balancer.name}: ${balancer.describe({ node, server: null, to: 'in' })}, until it is seen to serve`,
      ),
    ),
  async execute(step, run) {
    const before = [journalLine(run, step, 'begin')];
    const failed = await onEach(run, step, (node) =>
      onHeld(run, node, note(fenceFor(run, node.name, { before }), null)),
    );
    const able = step.nodes.filter((name) => !failed.some(({ node }) => node === name));
    return [...failed, ...(await putBack({ ...step, nodes: able }, run))];
  },
};

async function putBack(step: Enable, run: Run): Promise<readonly NodeFailure[]> {
  try {
    const { late, backAtMs, shown } = await awaitServing(run, step.nodes);
    const errors = new Map(late.map(({ node, error }) => [node, error]));
    return await eachNode(run, step, async (node) => {
      const error = errors.get(node.name);
      if (error) throw error;
      return backInRotation(step, run, { node, backAtMs, shown });
    });
  } catch (error) {
    return stepFailed(run, error);
  }
}

interface Back {
  readonly node: Node;
  /** When every balancer was read back to have it in rotation. */
  readonly backAtMs: number;
  /** All servers that were seen last. */
  readonly shown: readonly ServerState[];
}

/** The node is told that nothing of it is out any more, but at a balancer that is absent. */
async function backInRotation(
  step: Enable,
  run: Run,
  { node, backAtMs, shown }: Back,
): Promise<string | null> {
  const { leftAtMs, outMs } = run.rotation.get(node.name) ?? { leftAtMs: null, outMs: 0 };
  const totalMs = leftAtMs === null ? outMs : outMs + backAtMs - leftAtMs;
  if (leftAtMs !== null) run.rotation.set(node.name, { leftAtMs: null, outMs: totalMs });
  const before = [journalLine(run, step, 'done')];
  const isAway = (name: string): boolean =>
    run.absences.size > 0 && !shown.some(({ server }) => server === name);
  const away = (run.drained.get(node.name) ?? []).filter(isAway);
  await onHeld(run, node, note(fenceFor(run, node.name, { before }), away));
  if (away.length > 0) run.drained.set(node.name, away);
  else run.drained.delete(node.name);
  return leftAtMs === null ? null : `out of rotation for ${(totalMs / 1000).toFixed(1)} s`;
}
