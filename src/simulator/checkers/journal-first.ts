import type { StepKind } from '../../core/step.ts';
import type { SimulatedNode } from '../node.ts';
import { isByHand, isRun, type Session } from '../session.ts';
import { nodeOf, type World } from '../world.ts';
import type { WorldEvent } from '../world-event.ts';
import type { Checker } from './checker.ts';

/**
 * What a run does to a node stands there before it is done: the step in its journal, and what it takes out of rotation
 * in the node's record, so that whoever comes after a crash knows.
 */
export const journalFirst: Checker = {
  name: 'journal-first',
  watch: (world) => (event) => {
    if (event.kind === 'rotation') return unnoted(world, event);
    const kind = stepsOf[event.kind];
    if (kind === undefined || !('node' in event) || !('by' in event)) return null;
    if (event.kind === 'hook' && event.state !== 'began') return null;
    const { node, by } = event;
    if (hasBegun(node, by, kind)) return null;
    return `${by.name} did a step on ${node.name} (${kind}) that the journal there does not know`;
  },
};

/** The step that makes each of these happen. */
const stepsOf: { readonly [K in WorldEvent['kind']]?: StepKind } = {
  received: 'prepare',
  switched: 'activate',
  hook: 'hook',
  removed: 'cleanup',
};

function unnoted(
  world: World,
  { server, by, from }: Extract<WorldEvent, { kind: 'rotation' }>,
): string | null {
  if (!isRun(by) || isByHand(by) || from !== 'in') return null;
  const { disk } = nodeOf(world, server.node);
  return disk.drained.includes(server.id)
    ? null
    : `${by.name} took ${server.id} out, and ${server.node} has no note of it`;
}

const hasBegun = ({ name, disk }: SimulatedNode, { run }: Session, kind: StepKind): boolean =>
  (disk.journals.get(run ?? '') ?? []).some((line) => {
    const entry = JSON.parse(line) as {
      readonly state: string;
      readonly kind: StepKind;
      readonly nodes: string[];
    };
    return entry.state === 'begin' && entry.kind === kind && entry.nodes.includes(name);
  });
