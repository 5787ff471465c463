import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeServerState } from '../../src/commands/server-state.ts';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'state-'));
  file = join(folder, 'state');
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (input: string) =>
  execFileSync('sh', ['-euc', writeServerState(file).script], { input, stdio: 'pipe' });

test('a file that is not there is made, and nothing is left beside it', () => {
  write('1\n');
  expect(readFileSync(file, 'utf8')).toBe('1\n');
  expect(readdirSync(folder)).toEqual(['state']);
});

test('a file is replaced by another one, of the same mode', () => {
  writeFileSync(file, 'much longer than what comes\n');
  chmodSync(file, 0o640);
  const before = statSync(file);
  write('1\n');
  expect(readFileSync(file, 'utf8')).toBe('1\n');
  expect(statSync(file).mode).toBe(before.mode);
  expect(statSync(file).ino).not.toBe(before.ino);
});

test('of two that write at the same time the last to end has its own there, whole', async () => {
  const slow = spawn('sh', ['-euc', writeServerState(file).script]);
  const ended = once(slow, 'exit');
  slow.stdin.write('1\n');
  await expect.poll(() => readdirSync(folder)).toHaveLength(1);
  write('2\n');
  expect(readFileSync(file, 'utf8')).toBe('2\n');
  slow.stdin.end('1\n');
  expect(await ended).toEqual([0, null]);
  expect(readFileSync(file, 'utf8')).toBe('1\n1\n');
  expect(readdirSync(folder)).toEqual(['state']);
});

test('a directory that is not there is an error', () => {
  rmSync(folder, { recursive: true });
  expect(() => write('1\n')).toThrow('state.new');
  folder = mkdtempSync(join(tmpdir(), 'state-'));
});
