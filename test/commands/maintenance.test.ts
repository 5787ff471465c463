import { expect, test } from 'vitest';
import { inspect } from '../../src/commands/inspect.ts';
import { acquireLock } from '../../src/commands/lock.ts';
import { setMaintenance } from '../../src/commands/maintenance.ts';
import type { MaintenanceCommands } from '../../src/core/site.ts';
import { node } from '../core/fleet.ts';
import { nodeFolder } from './node-folder.ts';

function newNode(commands: MaintenanceCommands | null = null) {
  const folder = nodeFolder();
  const lock = { run: 'run-1', holder: 'ada', host: 'desk', reason: 'a test', startedAt: '', intent: null };
  folder.run(acquireLock(node('web1'), folder.site, lock, []));
  const state = () => folder.run(inspect(node('web1'), folder.site)).result.maintenance;
  return {
    folder,
    set: (to: 'on' | 'off', text: string | null = null) =>
      folder.run(setMaintenance(folder.fence(), commands, { to, text })),
    state,
    is: () => state()?.by ?? null,
  };
}

const commands = {
  on: 'echo on >> log; touch down',
  off: 'echo off >> log; rm down',
  isOn: 'test -e down',
};

test('what a run set, a run lifts, and may set twice', () => {
  const { set, is } = newNode();
  expect([set('on').result, is()]).toEqual(['ours', 'run']);
  expect([set('on').result, is()]).toEqual(['ours', 'run']);
  expect([set('off').result, is(), set('off').result]).toEqual(['ours', null, 'ours']);
});

test('where the disk is full nothing is left that a run would not lift', () => {
  const { folder, set, is } = newNode();
  const command = setMaintenance(folder.fence(), null, { to: 'on', text: null });
  // No file may grow.
  const full = `trap '' XFSZ; ulimit -f 0\n${command.script}`;
  expect(folder.run({ ...command, script: full }).status).not.toBe(0);
  expect(is()).toBeNull();
  expect([set('on').result, set('off').result, is()]).toEqual(['ours', 'ours', null]);
});

test.each(['', 'moving house\n'])('what an operator set with %j stays, whatever a run does', (text) => {
  const { folder, set, is } = newNode();
  folder.write('maintenance', text);
  expect([is(), set('on').result, set('off').result, is()]).toEqual([
    'operator',
    'an operator’s',
    'an operator’s',
    'operator',
  ]);
  expect(folder.read('maintenance')).toBe(text);
});

test('what an operator set with sluice names them and the time, and only they lift it', () => {
  const { set, state, is } = newNode();
  const beganMs = Date.now() - 1000;
  set('on', "ada@desk: the cat's house");
  expect(state()).toMatchObject({ by: 'operator', text: "ada@desk: the cat's house" });
  expect(Math.abs(Date.parse(state()!.since) - beganMs)).toBeLessThan(10_000);
  expect([set('off').result, is()]).toEqual(['an operator’s', 'operator']);
  expect(set('on', 'bob@ci').result).toBe('an operator’s');
  expect(state()?.text).toContain('ada@desk');
  expect([set('off', 'bob@ci').result, is()]).toEqual(['ours', null]);
});

test('an operator takes over what a run left on, and lifts what a run or a command of the site set', () => {
  const { folder, set, is } = newNode(commands);
  set('on');
  expect([set('on', 'ada@desk').result, is()]).toEqual(['ours', 'operator']);
  set('off', 'ada@desk');
  set('on');
  expect([set('off', 'ada@desk').result, is(), folder.exists('down')]).toEqual(['ours', null, false]);
  folder.write('down', '');
  expect([set('off', 'ada@desk').result, folder.exists('down')]).toEqual(['ours', false]);
  const log = folder.read('log');
  expect([set('off', 'ada@desk').result, folder.read('log')]).toEqual(['ours', log]);
});

test('with commands of the site, what an operator set by them stays, and ours goes both ways', () => {
  const { folder, set, is } = newNode(commands);
  folder.write('down', '');
  expect([set('on').result, set('off').result, is()]).toEqual(['an operator’s', 'ours', null]);
  expect(folder.exists('log')).toBe(false);
  folder.run({
    ...setMaintenance(folder.fence(), null, { to: 'off', text: null }),
    script: `rm '${folder.dir}/down'`,
  });
  expect([set('on').result, is(), folder.exists('down')]).toEqual(['ours', 'run', true]);
  expect([set('off').result, is(), folder.read('log')]).toEqual(['ours', null, 'on\noff\n']);
});
