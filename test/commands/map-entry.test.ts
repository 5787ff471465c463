import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { writeMapEntry } from '../../src/commands/map-entry.ts';
import { nodeFolder } from './node-folder.ts';

test('two that write an entry at the same time both have it, and other lines stay', async () => {
  const place = mkdtempSync(join(tmpdir(), 'sluice-map-'));
  const bin = mkdtempSync(join(tmpdir(), 'sluice-bin-'));
  writeFileSync(join(bin, 'sync'), '#!/bin/sh\nsleep 0.3\n', { mode: 0o755 });
  vi.stubEnv('PATH', `${bin}:${process.env.PATH}`);
  onTestFinished(() => {
    vi.unstubAllEnvs();
    for (const folder of [place, bin]) rmSync(folder, { recursive: true });
  });
  const file = join(place, 'live.map');
  writeFileSync(file, '# of the shop\nshop blue\nblog blue\n');
  const { start } = nodeFolder();
  const ended = await Promise.all(
    ['shop', 'blog'].map((key) => start(writeMapEntry({ file, key, value: 'green' }))),
  );
  expect(ended).toEqual([0, 0]);
  expect(readFileSync(file, 'utf8').split('\n').sort()).toEqual([
    '',
    '# of the shop',
    'blog green',
    'shop green',
  ]);
  expect(readdirSync(place)).toEqual(['live.map']);
});
