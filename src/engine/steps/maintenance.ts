import { setMaintenance } from '../../commands/maintenance.ts';
import { userCommand } from '../../commands/shell.ts';
import { around, eachNode, fenceFor, onHeld } from '../run.ts';
import type { StepHandler } from './handler.ts';

export const maintenance: StepHandler<'maintenance'> = {
  describe: ({ to }, _ports, { deployTo, maintenance: settings }) => [
    to === 'on' ? `make ${deployTo}/maintenance` : `remove ${deployTo}/maintenance`,
    ...(settings?.commands ? [userCommand(settings.commands[to])] : []),
  ],
  execute: (step, run) =>
    eachNode(run, step, async (node) => {
      const { to, text = null } = step;
      const fence = fenceFor(run, node.name, around(run, step));
      const commands = run.site.maintenance?.commands ?? null;
      const found = await onHeld(run, node, setMaintenance(fence, commands, { to, text }));
      return found === 'ours' ? null : 'an operator had set it: it stays on';
    }),
};
