import type { Fence } from '../../commands/fenced.ts';
import { userCommand } from '../../commands/shell.ts';
import { switchTo } from '../../commands/switch.ts';
import { isDeployError } from '../../core/errors.ts';
import type { Node, NodeName } from '../../core/node.ts';
import { serversOf } from '../../core/observation.ts';
import type { StepOf } from '../../core/step.ts';
import {
  around,
  attemptsMax,
  eachNode,
  fenceFor,
  type NodeFailure,
  onHeld,
  type Run,
  stepFailed,
} from '../run.ts';
import { awaitDrained } from '../settle/drained.ts';
import type { StepHandler } from './handler.ts';

type Activate = StepOf<'activate'>;

export const activate: StepHandler<'activate'> = {
  describe: ({ release }, _ports, site) => [
    `current -> ${site.deployTo}/releases/${release.id}`,
    ...site.activate.map(userCommand),
  ],
  async execute(step, run) {
    try {
      // One look for the whole batch: what is told again must not leave fewer nodes than the floor, all taken together.
      const busy = new Map((await drainedOf(run, step.nodes)).map(({ node, error }) => [node, error]));
      return await eachNode(run, step, async (node) => {
        const error = busy.get(node.name);
        if (error) throw error;
        const fence = fenceFor(run, node.name, around(run, step));
        for (let attempt = 1; !(await switched(step, run, { node, fence, attempt })); attempt++);
        return null;
      });
    } catch (error) {
      return stepFailed(run, error);
    }
  },
};

const drainedOf = (run: Run, nodes: readonly NodeName[]): Promise<readonly NodeFailure[]> =>
  awaitDrained(
    run,
    nodes.filter((node) => serversOf(run.observed, node).length > 0),
  );

interface Attempt {
  readonly node: Node;
  readonly fence: Fence;
  readonly attempt: number;
}

/**
 * Switches the node. False if the reply was lost: before it is done again it is looked at again, for much may have
 * happened since.
 */
async function switched(step: Activate, run: Run, { node, fence, attempt }: Attempt): Promise<boolean> {
  const [busy] = attempt === 1 ? [] : await drainedOf(run, [node.name]);
  if (busy) throw busy.error;
  try {
    await onHeld(run, node, switchTo(fence, run.site, step.release), { attemptsMax: 1 });
    return true;
  } catch (error) {
    if (isDeployError(error, 'OUTCOME_UNKNOWN') && attempt < attemptsMax) return false;
    throw error;
  }
}
