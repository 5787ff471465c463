import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { inventoryKinds } from '../../../src/adapters/inventories/index.ts';

/** What a script of the folder of the config prints, as a list. */
function listOf(script: string, env: Readonly<Record<string, string>> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-list-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'list'), `#!/bin/sh\n${script}\n`);
  chmodSync(join(directory, 'list'), 0o755);
  const place = { directory, env: { PATH: process.env.PATH, ...env } };
  return inventoryKinds.command.create({ run: ['./list', '--of', 'the shop'] }, place);
}

const reasonOf = async (script: string, withinMs = 10_000): Promise<string> => {
  const error = await listOf(script)
    .list(withinMs)
    .then(
      () => null,
      (thrown) => thrown,
    );
  expect(error).toMatchObject({
    code: 'NODES_UNLISTED',
    details: { list: "the command ./list --of 'the shop'" },
  });
  return error.details.reason;
};

test('what it prints is the list, with its words, its folder and the environment', async () => {
  const list = listOf('printf \'["web1", {"name": "%s", "address": "%s"}]\' "$SHOP" "$2"', { SHOP: 'web2' });
  expect(await list.list(10_000)).toEqual(['web1', { name: 'web2', address: 'the shop' }]);
});

test('an empty list is a list: to refuse it is not for whoever reads it', async () => {
  expect(await listOf('echo []').list(10_000)).toEqual([]);
});

test.each([
  ['echo "no such region" >&2; exit 3', 'it ended with status 3: no such region'],
  ['echo web1', 'expected JSON on its standard output, got "web1"'],
  ['true', 'expected JSON on its standard output, got nothing'],
  ['echo \'{"web1": {}}\'', 'expected a list on its standard output, got an object'],
])('%s is told as what it is', async (script, reason) => {
  expect(await reasonOf(script)).toBe(reason);
});

test('it ends in time, with all that it started', async () => {
  expect(await reasonOf('sleep 60 & sleep 60', 300)).toBe('it did not end within 300 ms');
});

test('it cannot fill the memory', async () => {
  expect(await reasonOf('yes')).toMatch(/^it printed more than \d+ characters$/);
});
