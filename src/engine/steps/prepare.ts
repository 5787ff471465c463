import { receive } from '../../commands/receive.ts';
import { assert } from '../../core/assert.ts';
import { count, failure, list } from '../../core/errors.ts';
import type { StepOf } from '../../core/step.ts';
import { linkTarget } from '../../core/storage.ts';
import { cronFileOf } from '../cron-file.ts';
import {
  around,
  eachNode,
  emit,
  fenceFor,
  type NodeFailure,
  nodeOf,
  onHeld,
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
      const command = receive(
        fenceFor(run, node.name, around(run, step)),
        run.site,
        step.release,
        artifact.digest,
      );
      const { digest, clashes } = await onHeld(run, node, command, {
        stdin: () => artifact.read(),
        onSent: (done) => emit(run.ports, { type: 'bytes', node: node.name, done, total: artifact.bytes }),
        signal: run.signal,
      });
      if (digest !== null && digest !== artifact.digest) {
        throw failure('ARTIFACT_MISMATCH', { node: node.name, expected: artifact.digest, got: digest });
      }
      return clashes.length === 0 ? null : clashText(clashes);
    });
    return failures.length > 0 || !run.site.cron?.file ? failures : readsCronFile(step, run);
  },
};

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
