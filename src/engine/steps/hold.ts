import { passHold } from '../../commands/hold.ts';
import { failure, isDeployError } from '../../core/errors.ts';
import type { NodeName } from '../../core/node.ts';
import { nodeState } from '../../core/observation.ts';
import type { StepOf } from '../../core/step.ts';
import { fenceFor, type NodeFailure, onHeld, presentNodes, type Run, stepFailed, together } from '../run.ts';
import { partFrom } from '../settle/web-sockets.ts';
import { bake } from './bake.ts';
import type { StepHandler } from './handler.ts';

type Hold = StepOf<'hold'>;

export const hold: StepHandler<'hold'> = {
  describe: ({ forMs, nodes, judged, flipped }, { balancers }) => [
    forMs === null
      ? 'the run ends here, and goes on with sluice promote'
      : `wait ${forMs} ms, and see that ${nodes.join(', ')} go on serving`,
    ...(judged === null ? [] : [`compare what they answered with ${judged.others.join(', ') || 'nothing'}`]),
    ...(flipped === null || forMs === null
      ? []
      : [
          ...(balancers.some(({ capabilities }) => capabilities.counters)
            ? ['compare their errors with those of the pool before the flip']
            : []),
          `ask their checks every ${flipped.checkEveryMs} ms`,
        ]),
  ],
  async execute(step, run) {
    try {
      if (run.promotes !== step.name) {
        if (step.forMs === null) throw failure('HELD', { why: `hold ${step.name}, until it is promoted` });
        const sinceMs = run.ports.clock.nowMs();
        await bake(step, step.forMs, run);
        if (step.flipped !== null) await letGo(step, run, sinceMs);
      }
      return await writeDown(step, run);
    } catch (error) {
      return stepFailed(run, error);
    }
  },
};

/** The pool before has had its time: what cannot be ended there is no reason to go back to it. */
async function letGo(step: Hold, run: Run, sinceMs: number): Promise<void> {
  try {
    await partFrom(run, otherPool(step, run), sinceMs);
  } catch (error) {
    if (!isDeployError(error, 'BALANCER_UNREACHABLE', 'BALANCER_REFUSED')) throw error;
    run.warnings.push(`WebSockets may still be open at the pool before: ${error.message}`);
  }
}

/** The nodes that had the traffic before the flip. */
function otherPool({ nodes }: Hold, { observed }: Run): readonly NodeName[] {
  const pools = nodes.map((name) => nodeState(observed, name).pool);
  return Object.values(observed.nodes).flatMap(({ name, pool }) => (pools.includes(pool) ? [] : [name]));
}

/** On every node, so that whoever goes on from there knows; one that has it is enough. */
async function writeDown(step: Hold, run: Run): Promise<readonly NodeFailure[]> {
  const nodes = presentNodes(run);
  const results = await Promise.allSettled(
    nodes.map((node) => onHeld(run, node, passHold(fenceFor(run, node.name), step))),
  );
  const failures = results.flatMap((result, index) =>
    result.status === 'rejected'
      ? stepFailed(run, result.reason).map(({ error }) => ({ node: nodes[index]!.name, error }))
      : [],
  );
  if (failures.length === nodes.length) throw together(failures);
  return failures.filter(({ error }) => error.code === 'LOCK_LOST');
}
