import type { CommandLine } from '../src/core/command.ts';
import { command, describe } from '../src/core/field.ts';
import { hookKind } from '../src/core/hook.ts';
import { onEachNode } from './each-node.ts';

interface RunCommandOptions {
  readonly command: CommandLine;
}

export const runCommand = hookKind<RunCommandOptions>({
  summary: 'Runs a command on each node of the step at once, in its live release.',
  options: { command: describe('The command.', command) },
  onNodes: true,
  create:
    ({ command }) =>
    ({ nodes, run }) =>
      onEachNode(nodes, (node) => run(node, command)),
});
