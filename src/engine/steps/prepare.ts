import { fetchFiles } from '../../commands/fetch-files.ts';
import { heldImage, readManifest } from '../../commands/image.ts';
import { layout } from '../../commands/layout.ts';
import { type Received, receive, receiveImage } from '../../commands/receive.ts';
import { assert } from '../../core/assert.ts';
import type { NodeCommand } from '../../core/command.ts';
import { count, failure, list } from '../../core/errors.ts';
import type { Node } from '../../core/node.ts';
import type { StepOf } from '../../core/step.ts';
import { linkTarget } from '../../core/storage.ts';
import type { Artifact, Built, ParcelContents } from '../../ports.ts';
import { cronFileOf } from '../cron-file.ts';
import {
  around,
  eachNode,
  emit,
  fenceFor,
  type NodeFailure,
  nodeOf,
  onHeld,
  onNode,
  type Run,
  stepFailed,
} from '../run.ts';
import type { StepHandler } from './handler.ts';

export const prepare: StepHandler<'prepare'> = {
  describe: ({ release }, _ports, site) => [
    `unpack the artifact into ${site.deployTo}/releases/${release.id}`,
    ...[...site.linkedDirs, ...site.linkedFiles].map((path) => `link ${path} to ${linkTarget(site, path)}`),
    ...site.assets.map((dir) => `lend the assets in ${dir} to the other releases, and theirs to it`),
  ],
  async execute(step, run) {
    const { artifact } = run;
    assert(artifact, 'a release is built before it is prepared');
    const failures = await eachNode(run, step, async (node) => {
      const sent = await parcelFor(run, step, node, artifact);
      const { digest, differs, clashes } = await onHeld(run, node, sent.command, {
        stdin: () => sent.artifact.read(),
        onSent: (done) =>
          emit(run.ports, { type: 'bytes', node: node.name, done, total: sent.artifact.bytes }),
        signal: run.signal,
      });
      const expected = sent.artifact.digest;
      if (digest !== null && digest !== expected)
        throw failure('ARTIFACT_MISMATCH', { node: node.name, expected, got: digest });
      if (differs.length > 0) throw failure('RELEASE_DIFFERS', { node: node.name, differs });
      return clashes.length === 0 ? null : clashText(clashes);
    });
    return failures.length > 0 || !run.site.cron?.file ? failures : readsCronFile(step, run);
  },
};

/** A node that has an earlier build is sent the difference: it is asked what it has, once if that is known here. */
async function parcelFor(
  run: Run,
  step: StepOf<'prepare'>,
  node: Node,
  built: Built,
): Promise<{ readonly command: NodeCommand<Received>; readonly artifact: Artifact }> {
  const { site, ports, signal } = run;
  const fence = () => fenceFor(run, node.name, around(run, step));
  if (!('since' in built))
    return { command: receive(fence(), site, step.release, built.digest), artifact: built };
  const ask = <R>(command: NodeCommand<R>): Promise<R> => onNode(ports, node, command, { signal });
  const held = await ask(heldImage(site.deployTo));
  const less =
    held &&
    ((await built.since(held)) ??
      (await built.since({ ...held, told: await ask(readManifest(site.deployTo, held.release)) })));
  const artifact = less ?? (await built.since(null));
  assert(artifact, 'what a node without anything is sent is known');
  const { digest } = artifact;
  const contents = await contentsFor(run, step, node, artifact.contents);
  const { image, timeSeconds } = built;
  const base = held && less ? held.release : null;
  return {
    command: receiveImage(fence(), site, step.release, { digest, image, base, timeSeconds, contents }),
    artifact,
  };
}

/** The folder on the node in which the content of files is; null: it comes with the parcel. What must be fetched is there then. */
async function contentsFor(
  run: Run,
  { release }: StepOf<'prepare'>,
  node: Node,
  contents: ParcelContents,
): Promise<string | null> {
  if (contents.from === 'parcel') return null;
  if (contents.from === 'storage') return contents.folder;
  const config = new TextEncoder().encode(await contents.config());
  const fetching = fetchFiles(fenceFor(run, node.name), release.id);
  const other = await onHeld(run, node, fetching, { stdin: () => once(config), signal: run.signal });
  if (other !== null) throw failure('ARTIFACT_MISMATCH', { node: node.name, ...other });
  return layout.fetched(release.id);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** Before anything changes that is in use: a bad line is found while the old release runs its jobs. All nodes have the same. */
async function readsCronFile(
  { nodes, release }: StepOf<'prepare'>,
  run: Run,
): Promise<readonly NodeFailure[]> {
  try {
    await cronFileOf(run, nodeOf(run.site, nodes[0]!), release.id);
    return [];
  } catch (error) {
    return stepFailed(run, error);
  }
}

const clashText = (clashes: readonly string[]): string =>
  `${count(clashes.length, 'asset')} with other content in the live release, each keeps its own: ${list(clashes.slice(0, 3))}${clashes.length > 3 ? ' and others' : ''}`;
