import type { CommandLine } from '../../core/command.ts';
import { failure } from '../../core/errors.ts';
import { command as commandField, describe, shown } from '../../core/field.ts';
import { type InventoryKind, inventoryKind } from '../../core/inventory.ts';
import { printed, shownList } from './printed.ts';

/** Whatever knows the nodes: its standard output is a list of nodes, as `nodes` of a config in JSON. */
export const command: InventoryKind = inventoryKind<{ readonly run: CommandLine }>({
  summary:
    'A command on the machine that sluice runs on, in the directory of the config: it prints a list of nodes as JSON, each as in a config.',
  options: { run: describe('The command.', commandField) },
  create({ run }, place) {
    const list = shownList(run);
    return {
      shown: list,
      async list(withinMs) {
        const nodes = await printed({ command: run, list, withinMs }, place);
        if (Array.isArray(nodes)) return nodes;
        throw failure('NODES_UNLISTED', {
          list,
          reason: `expected a list on its standard output, got ${shown(nodes)}`,
        });
      },
    };
  },
});
