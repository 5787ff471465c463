import { createHash } from 'node:crypto';
import { assert, describe, expect, test } from 'vitest';
import { isDeployError } from '../../src/core/errors.ts';
import type { Release, ReleaseId, Revision } from '../../src/core/release.ts';
import type { Artifact, Built, Parcel, Source } from '../../src/ports.ts';

/** A source that has two revisions, and no more until `advance` adds one. */
export interface SourceFixture {
  readonly source: Source;
  /** What moves on with them: a branch, or `newest`. */
  readonly tip: string;
  readonly first: Revision;
  readonly second: Revision;
  /** Adds a revision, as somebody else does while a deploy is under way. */
  advance(): Promise<Revision>;
}

export const releaseOf = (revision: Revision): Release => ({ id: '20260101000000' as ReleaseId, revision });

/** What every source promises, on an adapter and on its simulated twin. */
export function sourceContract(name: string, make: () => Promise<SourceFixture>): void {
  describe(`${name} keeps the contract of a source`, () => {
    test('the tip is the newest revision', async () => {
      const { source, tip, second } = await make();
      expect(await source.resolve(tip)).toBe(second);
    });

    test('a revision stays itself when the tip moves on, the tip does not', async () => {
      const { source, tip, second, advance } = await make();
      expect(await source.resolve(tip)).toBe(second);
      const third = await advance();
      expect(await source.resolve(second)).toBe(second);
      expect(await source.resolve(tip)).toBe(third);
    });

    test('an unknown ref is refused by its name', async () => {
      const { source } = await make();
      const error = await source.resolve('nowhere').catch((reason: unknown) => reason);
      expect(isDeployError(error, 'REF_UNKNOWN')).toBe(true);
      expect(String(error)).toContain('nowhere');
    });

    test('going forward lists what is new, and lacks nothing', async () => {
      const { source, tip, first, second } = await make();
      await source.resolve(tip);
      const { commits, behind } = await source.compare(first, second);
      expect(commits.map(({ revision }) => revision)).toEqual([second]);
      expect(behind).toBe(0);
    });

    test('going back lists nothing new, and counts what is lost', async () => {
      const { source, tip, first, second } = await make();
      await source.resolve(tip);
      expect(await source.compare(second, first)).toEqual({ commits: [], behind: 1 });
    });

    test('an artifact has the size and digest that it says, and can be read by several at once', async () => {
      const { source, second } = await make();
      const built = await source.build(releaseOf(second), {});
      const artifact = await whole(built);
      const readings = await Promise.all([read(artifact), read(artifact)]);
      for (const bytes of readings) {
        expect(bytes.length).toBe(artifact.bytes);
        expect(createHash('sha256').update(bytes).digest('hex')).toBe(artifact.digest);
      }
      await built.discard();
      await built.discard();
    });

    test('two builds of one revision are the same bytes', async () => {
      const { source, second } = await make();
      const builds = [await source.build(releaseOf(second), {}), await source.build(releaseOf(second), {})];
      const [one, other] = await Promise.all(builds.map(whole));
      expect(one!.digest).toBe(other!.digest);
      for (const built of builds) await built.discard();
    });

    test('a build that is aborted before it starts rejects with the reason', async () => {
      const { source, second } = await make();
      const reason = new Error('stop');
      await expect(source.build(releaseOf(second), { signal: AbortSignal.abort(reason) })).rejects.toBe(
        reason,
      );
    });
  });
}

/** What a node gets that has nothing. */
export async function whole(built: Built): Promise<Artifact & Partial<Parcel>> {
  const artifact = 'since' in built ? await built.since(null) : built;
  assert(artifact);
  return artifact;
}

export async function read(artifact: { read(): AsyncIterable<Uint8Array> }): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of artifact.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
