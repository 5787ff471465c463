import { userCommand } from '../../commands/shell.ts';
import { switchTo } from '../../commands/switch.ts';
import { serversOf } from '../../core/observation.ts';
import { around, eachNode, fenceFor, onNode, stepFailed } from '../run.ts';
import { awaitDrained } from '../settle.ts';
import type { StepHandler } from './handler.ts';

export const activate: StepHandler<'activate'> = {
  describe: ({ release }, _ports, site) => [
    `current -> ${site.deployTo}/releases/${release.id}`,
    ...site.activate.map(userCommand),
  ],
  async execute(step, run) {
    try {
      const behindBalancers = step.nodes.filter((node) => serversOf(run.observed, node).length > 0);
      const busy = new Map(
        (await awaitDrained(run, behindBalancers)).map(({ node, error }) => [node, error]),
      );
      return await eachNode(run, step, async (node) => {
        const error = busy.get(node.name);
        if (error) throw error;
        const fence = fenceFor(run, node.name, around(run, step));
        await onNode(run.ports, node, switchTo(fence, run.site, step.release));
        return null;
      });
    } catch (error) {
      return stepFailed(run, error);
    }
  },
};
