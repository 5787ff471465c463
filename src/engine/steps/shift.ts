import { note } from '../../commands/note.ts';
import { eachNode, fenceFor, journalLine, onEach, onHeld, stepFailed, writeLater } from '../run.ts';
import { setWeights } from '../settle/weights.ts';
import type { StepHandler } from './handler.ts';

export const shift: StepHandler<'shift'> = {
  describe: ({ nodes, to }, { balancers }) =>
    nodes.flatMap((node) =>
      balancers
        .filter(({ capabilities }) => capabilities.weights === 'server')
        .map((balancer) => `${balancer.name}: ${balancer.describe({ node, server: null, to })}`),
    ),
  async execute(step, run) {
    const before = [journalLine(run, step, 'begin')];
    const failed = await onEach(run, step, (node) =>
      onHeld(run, node, note(fenceFor(run, node.name, { before }), null)),
    );
    const nodes = step.nodes.filter((name) => !failed.some(({ node }) => node === name));
    try {
      for (const node of nodes) run.weights.delete(node);
      await setWeights(run, { nodes, weightOf: () => step.to });
      if (step.to < 100) for (const node of nodes) run.weights.set(node, step.to);
    } catch (error) {
      return [...failed, ...stepFailed(run, error)];
    }
    return [
      ...failed,
      ...(await eachNode(run, { ...step, nodes }, async ({ name }) => {
        writeLater(run, name, journalLine(run, step, 'done'));
        return null;
      })),
    ];
  },
};
