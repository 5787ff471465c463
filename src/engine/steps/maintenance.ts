import { setMaintenance } from '../../commands/maintenance.ts';
import { userCommand } from '../../commands/shell.ts';
import { around, eachNode, fenceFor, onHeld } from '../run.ts';
import type { StepHandler } from './handler.ts';

export const maintenance: StepHandler<'maintenance'> = {
  describe: ({ to }, _ports, { deployTo, maintenance: settings }) => [
    to === 'on' ? `make ${deployTo}/maintenance` : `remove ${deployTo}/maintenance`,
    ...(settings ? [userCommand(settings[to])] : []),
  ],
  execute: (step, run) =>
    eachNode(run, step, async (node) => {
      const fence = fenceFor(run, node.name, around(run, step));
      const found = await onHeld(run, node, setMaintenance(fence, run.site.maintenance, step.to));
      return found === 'ours' ? null : 'an operator had set it: it stays on';
    }),
};
