import { note } from '../../commands/note.ts';
import type { NodeName } from '../../core/node.ts';
import { readBalancers } from '../observe.ts';
import { eachNode, fenceFor, journalLine, onNode, type Run, stepFailed } from '../run.ts';
import { awaitServing, changeRotation } from '../settle.ts';
import type { StepHandler } from './handler.ts';

export const enable: StepHandler<'enable'> = {
  describe: ({ nodes }, { balancers }) =>
    nodes.flatMap((node) =>
      balancers.map(
        (balancer) =>
          `${balancer.name}: ${balancer.describe({ node, server: null, to: 'in' })}, until it is seen to serve`,
      ),
    ),
  async execute(step, run) {
    const begin = { before: [journalLine(run, step, 'begin')] };
    const lost = await eachNodeNoted(run, step.nodes, (name) => fenceFor(run, name, begin));
    if (lost) return stepFailed(lost);
    try {
      const { servers } = await readBalancers(run.ports);
      const ours = servers.filter(
        ({ node, server }) => step.nodes.includes(node) && run.drained.get(node)?.includes(server),
      );
      await changeRotation(run.ports, ours, 'in');
      const late = new Map((await awaitServing(run, step.nodes)).map(({ node, error }) => [node, error]));
      return await eachNode(run, step, async ({ name }) => {
        const error = late.get(name);
        if (error) throw error;
        return backInRotation(run, name, journalLine(run, step, 'done'));
      });
    } catch (error) {
      return stepFailed(error);
    }
  },
};

async function eachNodeNoted(
  run: Run,
  names: readonly NodeName[],
  fence: (name: NodeName) => ReturnType<typeof fenceFor>,
): Promise<unknown> {
  const nodes = run.site.nodes.filter(({ name }) => names.includes(name));
  const results = await Promise.allSettled(
    nodes.map((node) => onNode(run.ports, node, note(fence(node.name), null))),
  );
  return results.find((result) => result.status === 'rejected')?.reason ?? null;
}

/** The node is told that nothing of it is out any more. */
async function backInRotation(run: Run, name: NodeName, line: string): Promise<string | null> {
  const node = run.site.nodes.find((candidate) => candidate.name === name)!;
  const { leftAtMs, outMs } = run.rotation.get(name) ?? { leftAtMs: null, outMs: 0 };
  const totalMs = leftAtMs === null ? outMs : outMs + run.ports.clock.nowMs() - leftAtMs;
  run.rotation.set(name, { leftAtMs: null, outMs: totalMs });
  await onNode(run.ports, node, note(fenceFor(run, name, { before: [line] }), []));
  run.drained.delete(name);
  return leftAtMs === null ? null : `out of rotation for ${(totalMs / 1000).toFixed(1)} s`;
}
