import { expect, test } from 'vitest';
import { inspect } from '../../src/commands/inspect.ts';
import { acquireLock } from '../../src/commands/lock.ts';
import { setMaintenance } from '../../src/commands/maintenance.ts';
import type { MaintenanceSettings } from '../../src/core/site.ts';
import { node } from '../core/fleet.ts';
import { nodeFolder } from './node-folder.ts';

function newNode(settings: MaintenanceSettings | null = null) {
  const folder = nodeFolder();
  const lock = { run: 'run-1', holder: 'ada', host: 'desk', reason: 'a test', startedAt: '', intent: null };
  folder.run(acquireLock(node('web1'), folder.site, lock, []));
  return {
    folder,
    set: (to: 'on' | 'off') => folder.run(setMaintenance(folder.fence(), settings, to)),
    is: () => folder.run(inspect(node('web1'), folder.site)).result.maintenance,
  };
}

test('what sluice set, it lifts, and may set twice', () => {
  const { set, is } = newNode();
  expect([set('on').result, is()]).toEqual(['ours', 'ours']);
  expect([set('on').result, is()]).toEqual(['ours', 'ours']);
  expect([set('off').result, is(), set('off').result]).toEqual(['ours', null, 'ours']);
});

test.each(['', 'moving house\n'])('what an operator set with %j stays', (text) => {
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

test('with commands of the site, what an operator set by them stays, and ours goes both ways', () => {
  const settings = {
    on: 'echo on >> log; touch down',
    off: 'echo off >> log; rm down',
    isOn: 'test -e down',
  };
  const { folder, set, is } = newNode(settings);
  folder.write('down', '');
  expect([set('on').result, set('off').result, is()]).toEqual(['an operator’s', 'ours', null]);
  expect(folder.exists('log')).toBe(false);
  folder.run({ ...setMaintenance(folder.fence(), null, 'off'), script: `rm '${folder.dir}/down'` });
  expect([set('on').result, is(), folder.exists('down')]).toEqual(['ours', 'ours', true]);
  expect([set('off').result, is(), folder.read('log')]).toEqual(['ours', null, 'on\noff\n']);
});
