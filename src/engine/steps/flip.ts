import { note } from '../../commands/note.ts';
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
  writeLater,
} from '../run.ts';
import { type Flipped, flipTo } from '../settle/flipped.ts';
import { endCounting } from './after-flip.ts';
import type { StepHandler } from './handler.ts';

type Flip = StepOf<'flip'>;

export const flip: StepHandler<'flip'> = {
  describe: ({ to, share }, { balancers }) =>
    balancers.map(
      ({ name, capabilities }) =>
        `${name}: ${share === undefined ? 'all' : `${share} % of`} new requests to ${to}, in one change${capabilities.flip === 'kept' ? ', which outlives a restart' : ''}`,
    ),
  async execute(step, run) {
    try {
      const before = [journalLine(run, step, 'begin')];
      const failed = await onEach(run, step, (node) =>
        onHeld(run, node, note(fenceFor(run, node.name, { before }), null)),
      );
      return failed.length > 0 ? failed : await turn(step, run);
    } catch (error) {
      return stepFailed(run, error);
    }
  },
};

async function turn(step: Flip, run: Run): Promise<readonly NodeFailure[]> {
  // What the pool before answered by itself, before it shares its traffic, is the measure.
  if (run.answeredBefore === null) await endCounting(run);
  const flipped = await flipTo(run, step.to, step.share);
  return eachNode(run, step, async ({ name }) => {
    writeLater(run, name, journalLine(run, step, 'done'));
    return detailOf(flipped, step);
  });
}

function detailOf({ balancers, withinMs }: Flipped, { share }: Flip): string {
  const live = share === undefined ? 'live' : `live with ${share} % of the traffic`;
  return balancers === 1
    ? `${live} at its balancer`
    : `${live} at ${balancers} balancers, which differed for ${withinMs} ms at most`;
}
