import { isDeployError } from '../core/errors.ts';
import type { NodeName } from '../core/node.ts';
import { readNode } from './observe.ts';
import type { NodeLists } from './propose.ts';
import { emit, type NodeFailure, nodeOf, type Run } from './run.ts';

/**
 * Of nodes that failed, those that are gone: their list does not have them any more, and they cannot be reached. The run goes on
 * without them. A list that cannot be read just now excuses nobody.
 */
export async function departed(
  run: Run,
  lists: NodeLists,
  failures: readonly NodeFailure[],
): Promise<readonly NodeName[]> {
  const unreachable = await unreachableOf(
    run,
    failures.flatMap(({ node }) => node ?? []),
  );
  if (unreachable.length === 0) return [];
  const listed = await namesIn(lists);
  const gone = unreachable.filter((node) => listed !== null && !listed.includes(node));
  for (const node of gone) {
    const text = `${node} is gone: the list of nodes does not have it any more, and it cannot be reached.`;
    run.leftOut.set(node, 'gone');
    run.warnings.push(text);
    emit(run.ports, { type: 'note', level: 'warning', text });
  }
  return gone;
}

async function unreachableOf({ site, ports }: Run, names: readonly NodeName[]): Promise<readonly NodeName[]> {
  const states = await Promise.all(names.map((name) => readNode(site, ports, nodeOf(site, name))));
  return states.filter(({ unreachable }) => unreachable !== null).map(({ name }) => name);
}

async function namesIn(lists: NodeLists): Promise<readonly NodeName[] | null> {
  try {
    return (await lists.read()).nodes.map(({ name }) => name);
  } catch (error) {
    if (!isDeployError(error)) throw error;
    return null;
  }
}
