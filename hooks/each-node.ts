import { failure, messageOf } from '../src/core/errors.ts';
import type { NodeName } from '../src/core/node.ts';

/** Does `work` on all nodes at once, waits for all, then fails with every node that did. */
export async function onEachNode(
  nodes: readonly NodeName[],
  work: (node: NodeName) => Promise<unknown>,
): Promise<void> {
  const results = await Promise.allSettled(nodes.map(work));
  const failures = results.flatMap((result, i) =>
    result.status === 'rejected' ? [{ node: nodes[i]!, message: messageOf(result.reason) }] : [],
  );
  if (failures.length > 0) throw failure('NODES_FAILED', { failures });
}
