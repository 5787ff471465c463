import { randomBytes } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { gzipped } from '../../../src/adapters/sources/gzip.ts';

describe('gzip', () => {
  test.each([0, 1, 1024 * 1024 - 1, 1024 * 1024, 1024 * 1024 + 1, 7_500_000])(
    'gives back %i bytes',
    async (size) => {
      const input = randomBytes(size);
      expect(gunzipSync(await zipped(input, 65_536)).equals(input)).toBe(true);
    },
  );

  test('does not depend on how its input is cut', async () => {
    const input = Buffer.from('some text of a site\n'.repeat(150_000));
    expect((await zipped(input, 1000)).equals(await zipped(input, 3_000_000))).toBe(true);
  });

  test('makes text smaller', async () => {
    const input = Buffer.from('some text of a site\n'.repeat(150_000));
    expect((await zipped(input, 65_536)).length).toBeLessThan(input.length / 50);
  });

  test('fails as its input fails', async () => {
    const failing = (async function* () {
      yield Buffer.alloc(3_000_000);
      throw new Error('the disk is gone');
    })();
    await expect(collect(gzipped(failing))).rejects.toThrow('the disk is gone');
  });
});

const zipped = (input: Buffer, chunkBytes: number): Promise<Buffer> =>
  collect(gzipped(cut(input, chunkBytes)));

async function* cut(input: Buffer, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < input.length; from += chunkBytes) yield input.subarray(from, from + chunkBytes);
}

async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return Buffer.concat(chunks);
}
