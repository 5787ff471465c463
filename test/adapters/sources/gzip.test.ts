import { randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { gunzipped, gzipped } from '../../../src/adapters/sources/gzip.ts';

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

describe('gunzip', () => {
  const input = gzipSync(randomBytes(3_000_000));

  test('gives back what was compressed, and fails if not all of it came', async () => {
    const whole = await collect(gunzipped(cut(input, 65_536)));
    expect(whole.equals(gunzipSync(input))).toBe(true);
    await expect(collect(gunzipped(cut(input.subarray(0, -9), 65_536)))).rejects.toThrow(
      'unexpected end of file',
    );
  });

  test('lets go of an input that is no gzip, is not read on, or fails', async () => {
    const bodies = [Buffer.alloc(3_000_000, 'x'), input, input];
    const inputs = bodies.map((bytes) => Readable.from(cut(bytes, 65_536)));
    const closed = Promise.allSettled(inputs.map((one) => finished(one)));
    const [noGzip, unread, failing] = inputs as [Readable, Readable, Readable];
    await expect(collect(gunzipped(noGzip))).rejects.toThrow('incorrect header check');
    for await (const _ of gunzipped(unread)) break;
    const collecting = collect(gunzipped(failing));
    failing.destroy(new Error('the disk is gone'));
    await expect(collecting).rejects.toThrow('the disk is gone');
    await closed;
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
