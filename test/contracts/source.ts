import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { isDeployError } from '../../src/core/errors.ts';
import type { Release, ReleaseId, Revision } from '../../src/core/release.ts';
import type { PackingSource } from '../../src/ports.ts';

/** A source whose branch `main` has two commits, and no more until `advance` adds one. */
export interface SourceFixture {
  readonly source: PackingSource;
  readonly first: Revision;
  readonly second: Revision;
  /** Adds a commit to `main`, as somebody else does while a deploy is under way. */
  advance(): Promise<Revision>;
}

export const releaseOf = (revision: Revision): Release => ({ id: '20260101000000' as ReleaseId, revision });

/** What every source promises, on an adapter and on its simulated twin. */
export function sourceContract(name: string, make: () => Promise<SourceFixture>): void {
  describe(`${name} keeps the contract of a source`, () => {
    test('a branch is its newest commit', async () => {
      const { source, second } = await make();
      expect(await source.resolve('main')).toBe(second);
    });

    test('a commit stays itself when the branch moves on, the branch does not', async () => {
      const { source, second, advance } = await make();
      expect(await source.resolve('main')).toBe(second);
      const third = await advance();
      expect(await source.resolve(second)).toBe(second);
      expect(await source.resolve('main')).toBe(third);
    });

    test('an unknown ref is refused by its name', async () => {
      const { source } = await make();
      const error = await source.resolve('nowhere').catch((reason: unknown) => reason);
      expect(isDeployError(error, 'REF_UNKNOWN')).toBe(true);
      expect(String(error)).toContain('nowhere');
    });

    test('going forward lists what is new, and lacks nothing', async () => {
      const { source, first, second } = await make();
      await source.resolve('main');
      const { commits, behind } = await source.compare(first, second);
      expect(commits.map(({ revision }) => revision)).toEqual([second]);
      expect(behind).toBe(0);
    });

    test('going back lists nothing new, and counts what is lost', async () => {
      const { source, first, second } = await make();
      await source.resolve('main');
      expect(await source.compare(second, first)).toEqual({ commits: [], behind: 1 });
    });

    test('an artifact has the size and digest that it says, and can be read by several at once', async () => {
      const { source, second } = await make();
      const artifact = await source.build(releaseOf(second), {});
      const readings = await Promise.all([read(artifact), read(artifact)]);
      for (const bytes of readings) {
        expect(bytes.length).toBe(artifact.bytes);
        expect(createHash('sha256').update(bytes).digest('hex')).toBe(artifact.digest);
      }
      await artifact.discard();
      await artifact.discard();
    });

    test('two builds of one revision are the same bytes', async () => {
      const { source, second } = await make();
      const artifacts = [
        await source.build(releaseOf(second), {}),
        await source.build(releaseOf(second), {}),
      ];
      expect(artifacts[0]?.digest).toBe(artifacts[1]?.digest);
      for (const artifact of artifacts) await artifact.discard();
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

export async function read(artifact: { read(): AsyncIterable<Uint8Array> }): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of artifact.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}
