import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readSecretFile } from '../../src/commands/read-secret-file.ts';

test('reads every byte of a file, and shows none of them', () => {
  const folder = mkdtempSync(join(tmpdir(), 'secret-'));
  const file = join(folder, "it's one");
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
  writeFileSync(file, Buffer.concat([bytes, Buffer.alloc(64)]));
  const { script, parse } = readSecretFile(file, 1000);
  const secret = parse(execFileSync('sh', ['-c', script], { encoding: 'utf8' }));
  expect(secret.reveal()).toBe(bytes.toString('hex') + '00'.repeat(64));
  expect(JSON.stringify(secret)).toBe('"[secret]"');
  rmSync(folder, { recursive: true });
});
