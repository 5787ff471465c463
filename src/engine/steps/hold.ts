import { passHold } from '../../commands/hold.ts';
import { failure } from '../../core/errors.ts';
import { isServing, type Observation, serversOf } from '../../core/observation.ts';
import type { StepOf } from '../../core/step.ts';
import {
  fenceFor,
  interruption,
  type NodeFailure,
  onHeld,
  presentNodes,
  type Run,
  stepFailed,
  together,
} from '../run.ts';
import { readAll } from '../settle.ts';
import type { StepHandler } from './handler.ts';

type Hold = StepOf<'hold'>;

export const hold: StepHandler<'hold'> = {
  describe: ({ forMs, nodes }) => [
    forMs === null
      ? 'the run ends here, and goes on with sluice promote'
      : `wait ${forMs} ms, and see that ${nodes.join(', ')} go on serving`,
  ],
  async execute(step, run) {
    try {
      if (run.promotes !== step.name) {
        if (step.forMs === null) throw failure('HELD', { why: `hold ${step.name}, until it is promoted` });
        await bake(step, step.forMs, run);
      }
      return await writeDown(step, run);
    } catch (error) {
      return stepFailed(run, error);
    }
  },
};

/** Throws `BAKE_FAILED` if a node that served at the beginning was seen twice not to serve. */
async function bake(step: Hold, forMs: number, run: Run): Promise<void> {
  const { clock } = run.ports;
  const deadlineMs = clock.nowMs() + forMs;
  const served = step.nodes.filter((node) => isServing(run.observed, node));
  let idle: readonly string[] = [];
  while (clock.nowMs() < deadlineMs) {
    await clock.sleep(Math.min(lookEveryMs, deadlineMs - clock.nowMs()), run.signal);
    if (run.signal.aborted) throw interruption(run.signal);
    const { members, servers } = await readAll(run);
    const observed = { ...run.observed, balancers: members, servers };
    const now = served.filter((node) => !isServing(observed, node));
    const node = now.find((name) => idle.includes(name));
    if (node) throw failure('BAKE_FAILED', { name: step.name, node, seen: seenOf(observed, node) });
    idle = now;
  }
}

const lookEveryMs = 2000;

const seenOf = (observed: Observation, node: string): string =>
  serversOf(observed, node)
    .map(({ server, rotation, health }) => `${server} is ${rotation} and ${health}`)
    .join(', ');

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
