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
      const busy = await awaitDrained(run, behindBalancers);
      if (busy.length > 0) return busy;
    } catch (error) {
      return stepFailed(run, error);
    }
    return eachNode(run, step, async (node) => {
      const command = switchTo(fenceFor(run, node.name, around(run, step)), run.site, step.release);
      await onNode(run.ports, node, command);
      return null;
    });
  },
};
