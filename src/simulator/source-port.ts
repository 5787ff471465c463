import { failure } from '../core/errors.ts';
import type { Release, Revision } from '../core/release.ts';
import type { Artifact, Operator, Source, Spool } from '../ports.ts';
import { exchange, latencyMs, type Wire } from './wire.ts';

/** A branch that may move at any time, and builds whose bytes follow from their revision and name. */
export const sourceTwin = (wire: Wire): Source => {
  const { world } = wire;
  const { faults, repository } = world;
  return {
    resolve: (ref, signal) =>
      exchange<Revision>(
        wire,
        { text: `resolves ${ref}`, signal, onAbort: reasonOf, timeout: null },
        (reply) => {
          if (faults.sourceFails()) {
            const error = () =>
              failure('SOURCE_UNREACHABLE', { url: 'origin', reason: 'connection timed out' });
            reply.fail(error, latencyMs(world));
          } else reply.ok(repository.head, latencyMs(world));
        },
      ),
    compare: () =>
      exchange(wire, { text: 'compares', signal: undefined, onAbort: reasonOf, timeout: null }, (reply) =>
        reply.ok({ commits: [], behind: 0 }, latencyMs(world)),
      ),
    build: (release, { signal } = {}) =>
      exchange<Artifact>(
        wire,
        { text: `builds ${release.id}`, signal, onAbort: reasonOf, timeout: null },
        (reply) => {
          const ms = world.random.integer({ min: 50, max: 4000 });
          if (!faults.sourceFails()) reply.ok(artifactOf(digestOfBuild(release)), ms);
          else
            reply.fail(
              () => failure('BUILD_FAILED', { command: 'make', status: 'status 2', output: '' }),
              ms,
            );
        },
      ),
    describe: () => ['make'],
  };
};

const reasonOf = (signal: AbortSignal): unknown => signal.reason;

/** What a node packs is known by the digest that it had first. */
export const spoolTwin: Spool = {
  async begin() {
    const decoder = new TextDecoder();
    let digest = '';
    return {
      write(chunk) {
        digest += decoder.decode(chunk);
      },
      end: async () => artifactOf(digest),
      async discard() {},
    };
  },
};

function artifactOf(digest: string): Artifact {
  return {
    bytes: 1,
    digest,
    read() {
      const bytes = noBytes();
      digests.set(bytes, digest);
      return bytes;
    },
    async discard() {},
  };
}

const digestOfBuild = ({ id, revision }: Release): string => `${revision}${id}`.slice(0, 64);

/** The bytes themselves are never made: only what they would be counted to matters. */
async function* noBytes(): AsyncGenerator<Uint8Array> {}

const digests = new WeakMap<object, string>();

/** The digest of what `read` of an artifact gave. */
export const digestOf = (input: AsyncIterable<Uint8Array>): string | null => digests.get(input) ?? null;

/** The operator's machine, whose commands always work. */
export const operatorTwin = (wire: Wire): Operator => ({
  name: `${wire.session.name}@laptop`,
  host: 'laptop',
  run: (_command, { signal }) =>
    exchange(wire, { text: 'runs a command here', signal, onAbort: reasonOf, timeout: null }, (reply) =>
      reply.ok({ status: 0, stdout: '', stderr: '' }, wire.world.random.integer({ min: 1, max: 500 })),
    ),
});
