import { describe, expect, test } from 'vitest';
import { sluice } from './fake-environment.ts';

const env = { CI: 'true' };

test('building says the name of the image', async () => {
  const { status, stdout, calls } = await sluice('seed build production', { env });
  expect({ status, stdout }).toEqual({
    status: 0,
    stdout: `Image ${'ab12'.repeat(16)} of seed1:/srv/app: 3 files.\n`,
  });
  expect(calls).toContainEqual(['load', expect.objectContaining({ wanted: 'production' })]);
});

test('the list has a line for each image', async () => {
  expect((await sluice('seed list production', { env })).stdout).toBe(
    [
      'image    captured                  files  bytes  from            by',
      'ab12ab1  2026-01-14T00:00:00.000Z  3      4096   seed1:/srv/app  ada@laptop',
      '',
    ].join('\n'),
  );
});

test('a difference is a line for each path', async () => {
  const { stdout, calls } = await sluice('seed diff production newest node:web3', { env });
  expect(stdout).toBe('M index.php\nA new.php\n');
  expect(calls).toContainEqual(['compareImages', { from: 'newest', to: 'node:web3' }]);
});

test('what was pruned is named', async () => {
  expect((await sluice('seed prune production', { env })).stdout).toBe(`deleted ${'ab12'.repeat(16)}\n`);
});

test('for programs each is one JSON document', async () => {
  for (const words of ['build production', 'list production', 'diff production a b', 'prune production']) {
    const { stdout } = await sluice(`seed ${words} --json`, { env });
    expect([JSON.parse(stdout)].flat()[0], words).toHaveProperty(words.startsWith('diff') ? 'path' : 'from');
  }
});

describe('a slip of the hand is refused', () => {
  test.each([
    [
      'seed bulid production',
      'expected build, list, show, diff, verify or prune, got "bulid"; did you mean build?',
    ],
    ['seed diff production newest', 'sluice seed diff takes two images'],
    ['seed list production x', 'sluice seed list takes nothing after the stage, got 1'],
  ])('%s', async (line, said) => {
    const { status, stderr, calls } = await sluice(line, { env });
    expect([status, calls]).toEqual([2, []]);
    expect(stderr).toContain(said);
  });
});
