import { readMachine } from '../commands/machine.ts';
import { type Drift, deviations, type MachineState, mostCommon, type NodeDrift } from '../core/drift.ts';
import { isDeployError } from '../core/errors.ts';
import type { Node, NodeName } from '../core/node.ts';
import type { Revision } from '../core/release.ts';
import type { Site } from '../core/site.ts';
import type { Ports } from '../ports.ts';
import { inFull } from './observe.ts';
import { onNode } from './run.ts';

/**
 * Compares what nodes that get traffic have beside the site, by one command each: with the seed as it was when `image` was
 * taken of it; where that is null, or nobody knows, with what most of the nodes have. Changes nothing.
 */
export async function findDrift(
  site: Site,
  ports: Ports,
  { image, signal }: { readonly image: Revision | null; readonly signal: AbortSignal },
): Promise<Drift> {
  const nodes = site.nodes.filter(({ traffic }) => traffic);
  const [seed, ...looks] = await Promise.all([
    seedAt(ports, image),
    ...nodes.map((node) => look(site, ports, node, signal)),
  ]);
  const expected = seed ?? mostCommon(looks.flatMap(({ state }) => state ?? []));
  return {
    image: seed && image,
    nodes: looks.map((one) => compared(one, expected, site.drift.ignore)),
  };
}

/** Images that are gone from the store, and those of other tools, nobody knows. */
async function seedAt({ source }: Ports, image: Revision | null): Promise<MachineState | null> {
  if (image === null || !source.images) return null;
  try {
    return await source.images.machine(image);
  } catch (error) {
    if (isDeployError(error, 'IMAGE_DAMAGED')) return null;
    throw error;
  }
}

interface Look {
  readonly name: NodeName;
  readonly state: MachineState | null;
  /** Why it could not be read; null: it was. */
  readonly problem: string | null;
}

async function look(site: Site, ports: Ports, node: Node, signal: AbortSignal): Promise<Look> {
  const { name } = node;
  try {
    return {
      name,
      state: await onNode(ports, node, readMachine(site.drift.paths), { signal }),
      problem: null,
    };
  } catch (error) {
    if (!isDeployError(error)) throw error;
    return { name, state: null, problem: inFull(error) };
  }
}

function compared(
  { name, state, problem }: Look,
  expected: MachineState,
  ignore: Site['drift']['ignore'],
): NodeDrift {
  if (state === null) return { name, problem, deviations: [], unread: [] };
  const isUnknown = state.packages === null && expected.packages !== null;
  return {
    name,
    problem: isUnknown ? `${name} has none of dpkg, rpm and apk: its packages are unknown.` : null,
    deviations: deviations({ expected, found: state }, ignore),
    unread: state.unread,
  };
}
