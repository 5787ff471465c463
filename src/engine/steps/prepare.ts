import { receive } from '../../commands/receive.ts';
import { assert } from '../../core/assert.ts';
import { failure } from '../../core/errors.ts';
import { around, eachNode, emit, fenceFor, onHeld } from '../run.ts';
import type { StepHandler } from './handler.ts';

export const prepare: StepHandler<'prepare'> = {
  describe: ({ release }, _ports, site) => [
    `unpack the artifact into ${site.deployTo}/releases/${release.id}`,
    ...[...site.linkedDirs, ...site.linkedFiles].map(
      (path) => `link ${path} to ${site.deployTo}/shared/${path}`,
    ),
  ],
  execute(step, run) {
    const { artifact } = run;
    assert(artifact, 'a release is built before it is prepared');
    return eachNode(run, step, async (node) => {
      const command = receive(
        fenceFor(run, node.name, around(run, step)),
        run.site,
        step.release,
        artifact.digest,
      );
      const { digest } = await onHeld(run, node, command, {
        stdin: () => artifact.read(),
        onSent: (done) => emit(run.ports, { type: 'bytes', node: node.name, done, total: artifact.bytes }),
        signal: run.signal,
      });
      if (digest !== null && digest !== artifact.digest) {
        throw failure('ARTIFACT_MISMATCH', { node: node.name, expected: artifact.digest, got: digest });
      }
      return null;
    });
  },
};
