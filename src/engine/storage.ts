import { lookAtStorage, type Marked, markStorage } from '../commands/storage.ts';
import { failure, isDeployError } from '../core/errors.ts';
import type { Node } from '../core/node.ts';
import type { Site } from '../core/site.ts';
import {
  codeOnStorage,
  localUploads,
  type NodeStorage,
  otherStorage,
  storageDirs,
  storageProblems,
  unwritten,
} from '../core/storage.ts';
import type { Ports } from '../ports.ts';
import type { Preflight } from './preflight.ts';
import { nodeOf, onNode } from './run.ts';

export interface StorageCheck extends Preflight {
  /** False if some mount is stale: what touches it would hang. */
  readonly answers: boolean;
}

/**
 * Looks at the storage of every node. Where all is well so far, makes what is absent on it and proves that all nodes
 * have the same: each sees a marker that the first one wrote, and that is gone at the end.
 */
export async function proveStorage(site: Site, ports: Ports, signal?: AbortSignal): Promise<StorageCheck> {
  const { check, found } = await look(site, ports, { isMaking: true, signal });
  const [first, ...others] = found;
  if (check.problems.length > 0 || !first || !site.shared) return check;
  return { ...check, problems: await differences(site, ports, { first, others }) };
}

/** Throws `PREFLIGHT` if the storage of some node is not as the site needs it. Looks only, and changes nothing. */
export async function refuseUnfitStorage(site: Site, ports: Ports, signal: AbortSignal): Promise<void> {
  const { check } = await look(site, ports, { isMaking: false, signal });
  if (check.problems.length > 0) throw failure('PREFLIGHT', { problems: check.problems });
}

/** A site without linked directories that might be for uploads has no storage, and is asked nothing. */
async function look(
  site: Site,
  ports: Ports,
  { isMaking, signal }: { readonly isMaking: boolean; readonly signal: AbortSignal | undefined },
): Promise<{ readonly check: StorageCheck; readonly found: readonly NodeStorage[] }> {
  const nodes = storageDirs(site).length === 0 ? [] : site.nodes;
  const results = await Promise.all(
    nodes.map((node) =>
      orSentence(node, onNode(ports, node, lookAtStorage(node, site), signal ? { signal } : {})),
    ),
  );
  const found = results.filter((result) => typeof result !== 'string');
  const failed = results.filter((result) => typeof result === 'string');
  const problems = [
    ...failed,
    ...found.flatMap((one) => storageProblems(site, one, { isMaking })),
    ...localUploads(site, found),
  ];
  const warnings = found.flatMap((one) => codeOnStorage(site, one));
  const answers = found.every(({ places }) => places.every(({ state }) => state !== 'silent'));
  return { check: { problems, warnings, answers }, found };
}

async function differences(
  site: Site,
  ports: Ports,
  { first, others }: { readonly first: NodeStorage; readonly others: readonly NodeStorage[] },
): Promise<readonly string[]> {
  const dirs = site.shared?.linkedDirs ?? [];
  const marker = ports.random.hex(8);
  const mark = (node: Node, act: 'write' | 'see' | 'erase'): Promise<Marked | string> =>
    orSentence(node, onNode(ports, node, markStorage(site, dirs, { act, marker })));
  const writer = nodeOf(site, first.node);
  try {
    const written = sentences(first, await mark(writer, 'write'), (place, reason) =>
      unwritten(first.node, place, reason),
    );
    if (written.length > 0) return written;
    const seen = await Promise.all(
      others.map(async (other) =>
        sentences(other, await mark(nodeOf(site, other.node), 'see'), (place) =>
          otherStorage(other.node, place, { node: first.node, place: placeOf(first, place.dir) }),
        ),
      ),
    );
    return seen.flat();
  } finally {
    await mark(writer, 'erase');
  }
}

function sentences(
  storage: NodeStorage,
  marked: Marked | string,
  sentence: (place: NodeStorage['places'][number], reason: string) => string,
): readonly string[] {
  if (typeof marked === 'string') return [marked];
  return marked.flatMap(({ dir, failure }) =>
    failure === null ? [] : [sentence(placeOf(storage, dir), failure)],
  );
}

const placeOf = ({ places }: NodeStorage, dir: string): NodeStorage['places'][number] => {
  const place = places.find((one) => one.dir === dir);
  if (!place) throw new RangeError(`${dir} was not looked at`);
  return place;
};

/** What a command said, or the sentence of its failure: one node that fails keeps nothing from being said of the others. */
async function orSentence<R>(node: Node, said: Promise<R>): Promise<R | string> {
  try {
    return await said;
  } catch (error) {
    if (!isDeployError(error)) throw error;
    return error.message.includes(node.name) ? error.message : `${node.name}: ${error.message}`;
  }
}
