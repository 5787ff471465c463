import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { type Entry, tarred } from '../../../src/adapters/sources/tar.ts';

const time = Date.UTC(2026, 0, 2, 3, 4, 5) / 1000;
const file = (path: string, text: string, mode = 0o644): Entry => {
  const content = Buffer.from(text);
  return { path, kind: 'file', mode, bytes: content.length, content: [content] };
};

describe('a tar archive, as the tar of the system lists it', () => {
  test('has modes, sizes, times and links, and is all of root', async () => {
    const entries: readonly Entry[] = [
      { path: 'bin', kind: 'directory' },
      file('bin/run', '#!/bin/sh\n', 0o755),
      file('index.php', 'hello'),
      { path: 'link', kind: 'link', target: '../elsewhere' },
    ];
    expect(await listing(entries)).toEqual([
      'drwxr-xr-x root/root 0 2026-01-02 03:04 bin/',
      '-rwxr-xr-x root/root 10 2026-01-02 03:04 bin/run',
      '-rw-r--r-- root/root 5 2026-01-02 03:04 index.php',
      'lrwxr-xr-x root/root 0 2026-01-02 03:04 link -> ../elsewhere',
    ]);
  });

  test.each([99, 100, 101, 155, 256, 700])('keeps paths and targets of %i bytes', async (length) => {
    const path = 'directory/'
      .repeat(100)
      .slice(0, length - 1)
      .concat('x');
    const lines = await listing([
      file(path, 'a'),
      { path: 'link', kind: 'link', target: path },
      file('after', 'b'),
    ]);
    expect(lines.map((line) => line.split(' ').slice(5).join(' '))).toEqual([
      path,
      `link -> ${path}`,
      'after',
    ]);
  });

  test('counts the length of a path in bytes', async () => {
    const path = 'ä'.repeat(60);
    const [line] = await listing([file(path, 'a')]);
    expect(line?.endsWith(` ${path}`)).toBe(true);
  });

  test('is not made from a file that changes while it is read', async () => {
    const growing: Entry = { ...file('log', 'longer'), bytes: 3 } as Entry;
    await expect(archive([growing])).rejects.toThrow('log changed while it was packed');
  });
});

async function listing(entries: readonly Entry[]): Promise<readonly string[]> {
  const input = await archive(entries);
  const output = execFileSync('tar', ['-tvf', '-'], { input, encoding: 'utf8', env: listEnv });
  return output
    .trim()
    .split('\n')
    .map((line) => line.replace(/ +/g, ' '));
}

const listEnv = { PATH: process.env.PATH, TZ: 'UTC', LC_ALL: 'C.UTF-8' };

async function archive(entries: readonly Entry[]): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of tarred(each(entries), time)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* each(entries: readonly Entry[]): AsyncGenerator<Entry> {
  yield* entries;
}
