import { expect, test } from 'vitest';
import { runCommand } from '../../hooks/run-command.ts';
import type { HookContext } from '../../src/core/hook.ts';
import { contextWith } from './context.ts';

test('runs the command on every node of the step', async () => {
  const ran: unknown[] = [];
  const run: HookContext['run'] = async (node, command) => {
    ran.push([node, command]);
    return '';
  };
  await runCommand.create({ command: ['wp', 'cache', 'flush'] })(contextWith({ run }));
  expect(ran).toEqual([
    ['web1', ['wp', 'cache', 'flush']],
    ['web2', ['wp', 'cache', 'flush']],
  ]);
});

test('lets the other nodes end before it fails with the one that failed', async () => {
  const ended: string[] = [];
  const run: HookContext['run'] = async (node) => {
    if (node === 'web1') throw new Error('status 1');
    await new Promise((resolve) => setTimeout(resolve, 20));
    ended.push(node);
    return '';
  };
  const done = runCommand.create({ command: 'true' })(contextWith({ run }));
  await expect(done).rejects.toThrow('1 node failed:\n  web1: status 1');
  expect(ended).toEqual(['web2']);
});
