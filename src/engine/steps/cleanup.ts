import { removeReleases } from '../../commands/cleanup.ts';
import { around, eachNode, fenceFor, onHeld } from '../run.ts';
import type { StepHandler } from './handler.ts';

/** Old releases that cannot be deleted are warnings: the new release is live, and stays so. */
export const cleanup: StepHandler<'cleanup'> = {
  describe: ({ nodes, remove }) => nodes.map((node) => `${node}: delete ${remove[node]?.join(', ')}`),
  async execute(step, run) {
    const failures = await eachNode(run, step, async (node) => {
      const command = removeReleases(
        fenceFor(run, node.name, around(run, step)),
        step.remove[node.name] ?? [],
      );
      const undeleted = await onHeld(run, node, command);
      for (const { id, reason } of undeleted) {
        run.warnings.push(`${node.name}: release ${id} could not be deleted: ${reason}`);
      }
      return undeleted.length > 0 ? `${undeleted.length} could not be deleted` : null;
    });
    const lost = failures.filter(({ error }) => error.code === 'LOCK_LOST');
    for (const { error } of failures) if (error.code !== 'LOCK_LOST') run.warnings.push(error.message);
    return lost;
  },
};
