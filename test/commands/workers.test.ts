import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { acquireLock } from '../../src/commands/lock.ts';
import { runHook } from '../../src/commands/run-hook.ts';
import { switchTo } from '../../src/commands/switch.ts';
import type { Workers } from '../../src/core/hook.ts';
import { isAlive } from '../adapters/process-state.ts';
import { untilThere } from '../contracts/transport.ts';
import { node, release } from '../core/fleet.ts';
import { nodeFolder } from './node-folder.ts';

/** A node with a live release, on which `run-1` has the lock. */
function workersNode(workers: Partial<Workers>) {
  const folder = nodeFolder();
  const lock = { run: 'run-1', holder: 'a', host: 'b', reason: 'c', startedAt: 'd', intent: null };
  folder.run(acquireLock(node('web1'), folder.site, lock, []));
  folder.mkdir(`releases/${release(1).id}`);
  folder.run(switchTo(folder.fence(), folder.site, release(1)));
  const log = (text: string) => `echo "${text} in $(basename "$(pwd -P)")" >> ${folder.dir}/log`;
  const restart = (more: Partial<Workers> = {}) =>
    folder.run(
      runHook(folder.fence(), {
        ...{ hook: 'workers', point: 'after:activate', command: '', once: false, timeoutMs: 1000 },
        ...{ release: release(1), onceAs: release(1).id },
        workers: {
          role: null,
          stop: log('stop'),
          isRunning: null,
          kill: null,
          start: [log('first'), log('second')],
          drainMs: 15_000,
          ...workers,
          ...more,
        },
      }),
    );
  const lines = () => (folder.exists('log') ? folder.read('log').trim().split('\n') : []);
  return { folder, restart, lines };
}

const inRelease = (...texts: readonly string[]) => texts.map((text) => `${text} in ${release(1).id}`);

test('they end, and come up in the live release, in order', () => {
  const { restart, lines } = workersNode({});
  expect(restart()).toMatchObject({ status: 0, stdout: '' });
  expect(lines()).toEqual(inRelease('stop', 'first', 'second'));
});

test('where they cannot be asked to end nothing is brought up', () => {
  const { restart, lines } = workersNode({ stop: 'echo "no such unit"; exit 5' });
  const { status, stdout } = restart();
  expect({ status, stdout }).toEqual({ status: 5, stdout: 'no such unit\nworkers.stop failed\n' });
  expect(lines()).toEqual([]);
});

test('a command that fails to bring them up is named', () => {
  const { restart } = workersNode({ start: ['true', 'exit 3'] });
  expect(restart()).toMatchObject({ status: 3, stdout: 'workers.start[1] failed\n' });
});

test('they are waited for as long as isRunning says so', () => {
  const { folder, restart, lines } = workersNode({});
  const stop = `(sleep 1; rm ${folder.dir}/running) > /dev/null 2>&1 &`;
  folder.write('running', '');
  const isRunning = ['test', '-e', `${folder.dir}/running`];
  expect(restart({ stop, isRunning }).status).toBe(0);
  expect(folder.exists('running')).toBe(false);
  expect(lines()).toEqual(inRelease('first', 'second'));
});

test('they are given at least their time, by a clock of whole seconds', () => {
  const { folder, restart } = workersNode({ drainMs: 1000 });
  const looks = `${folder.dir}/looks`;
  folder.write('bin/date', `#!/bin/sh\n[ -e ${looks} ] && echo 2 || echo 1\n`);
  folder.chmod('bin/date', 0o755);
  vi.stubEnv('PATH', `${folder.dir}/bin:${process.env.PATH}`);
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(restart({ isRunning: `echo >> ${looks}; test $(wc -l < ${looks}) -lt 4` }).status).toBe(0);
});

test('those that do not end in time come up once they have, unless a later attempt sees to them', async () => {
  const { folder, restart, lines } = workersNode({ drainMs: 1000 });
  const running = { isRunning: ['test', '-e', `${folder.dir}/running`] };
  folder.write('running', '');
  for (let attempt = 0; attempt < 2; attempt++)
    expect(restart(running)).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('did not end their jobs within 1 s'),
    });
  expect(lines()).toEqual(inRelease('stop', 'stop'));
  rmSync(`${folder.dir}/running`);
  for (let tries = 0; tries < 300 && lines().length < 4; tries++) await sleep(50);
  await sleep(300);
  expect(lines()).toEqual(inRelease('stop', 'stop', 'first', 'second'));
});

test('a later attempt sees to them also if what waits for an earlier one is just looking', async () => {
  const { folder, restart, lines } = workersNode({ drainMs: 1000 });
  const { dir } = folder;
  for (const file of ['running', 'held']) folder.write(file, '');
  const look = `echo $PPID > ${dir}/waiter; while test -e ${dir}/held; do sleep 0.1; done; false`;
  expect(restart({ isRunning: `test -e ${dir}/running || { ${look}; }` }).status).toBe(1);
  rmSync(`${dir}/running`);
  await untilThere(`${dir}/waiter`);
  expect(restart({ drainMs: 15_000 }).status).toBe(0);
  rmSync(`${dir}/held`);
  await expect.poll(() => isAlive(Number(folder.read('waiter')))).toBe(false);
  expect(lines()).toEqual(inRelease('stop', 'stop', 'first', 'second'));
});

test('those that a supervisor brings up are let be', () => {
  const { folder, restart, lines } = workersNode({ start: [] });
  folder.write('running', '');
  expect(restart().status).toBe(0);
  expect(restart({ isRunning: ['true'], drainMs: 1000 }).stdout).toMatch(/did not end their jobs within 1 s/);
  expect(lines()).toEqual(inRelease('stop', 'stop'));
});

test('those that are killed come up at once, however it went to ask them', () => {
  const { folder, restart, lines } = workersNode({ stop: 'sleep 3; exit 5', drainMs: 1000 });
  folder.write('running', '');
  const isRunning = ['test', '-e', `${folder.dir}/running`];
  expect(restart({ isRunning, kill: ['rm', `${folder.dir}/running`] }).status).toBe(0);
  expect(lines()).toEqual(inRelease('first', 'second'));
});
