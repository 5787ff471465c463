import type { Fence } from '../../commands/fenced.ts';
import { userCommand } from '../../commands/shell.ts';
import { switchTo } from '../../commands/switch.ts';
import { isDeployError } from '../../core/errors.ts';
import type { Node } from '../../core/node.ts';
import { serversOf } from '../../core/observation.ts';
import type { StepOf } from '../../core/step.ts';
import { around, attemptsMax, eachNode, fenceFor, onNode, type Run } from '../run.ts';
import { awaitDrained } from '../settle.ts';
import type { StepHandler } from './handler.ts';

type Activate = StepOf<'activate'>;

export const activate: StepHandler<'activate'> = {
  describe: ({ release }, _ports, site) => [
    `current -> ${site.deployTo}/releases/${release.id}`,
    ...site.activate.map(userCommand),
  ],
  execute: (step, run) =>
    eachNode(run, step, async (node) => {
      const fence = fenceFor(run, node.name, around(run, step));
      for (let attempt = 1; !(await switched(step, run, { node, fence, attempt })); attempt++);
      return null;
    }),
};

interface Attempt {
  readonly node: Node;
  readonly fence: Fence;
  readonly attempt: number;
}

/**
 * Looks once more that no request can come, then switches. False if the reply was lost: it is looked at again before
 * it is done again, for much may have happened since.
 */
async function switched(step: Activate, run: Run, { node, fence, attempt }: Attempt): Promise<boolean> {
  if (serversOf(run.observed, node.name).length > 0) {
    const [busy] = await awaitDrained(run, [node.name]);
    if (busy) throw busy.error;
  }
  try {
    await onNode(run.ports, node, switchTo(fence, run.site, step.release), { attemptsMax: 1 });
    return true;
  } catch (error) {
    if (isDeployError(error, 'OUTCOME_UNKNOWN') && attempt < attemptsMax) return false;
    throw error;
  }
}
