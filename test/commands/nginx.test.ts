import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { changeNginx, type Nginx, nginxExits, readNginx } from '../../src/commands/nginx.ts';
import { strictCommand } from '../../src/commands/shell.ts';

const nginx: Nginx = {
  file: "/etc/nginx/the shop's.conf",
  pid: '/nowhere/nginx.pid',
  command: ['nginx', '-c', '/etc/nginx/the edge.conf'],
  become: null,
};

const digest = 'a'.repeat(64);

const readingOf = (...head: readonly string[]) =>
  readNginx(nginx).parse(
    [
      'master 20 5000',
      'clock 9000 1700000100.5 100 1700000060.25',
      ...head,
      `digest ${digest}`,
      'upstream',
      '',
    ].join('\n'),
  );

test('what is read of nginx is its master, its file, and how its workers are connected', () => {
  const connections = ['connections 22 127.0.0.1:8080 3', 'connections 21 10.0.0.11:80 1'];
  expect(readingOf('worker 21 5001 yes', 'worker 22 5002 no', ...connections)).toEqual({
    master: '20 5000',
    isLoaded: true,
    retired: ['21'],
    connections: [
      { worker: '22', address: '127.0.0.1', port: 8080, count: 3 },
      { worker: '21', address: '10.0.0.11', port: 80, count: 1 },
    ],
    digest,
    text: 'upstream\n',
  });
});

test('an address of IPv6 is read without its brackets, and one of IPv4 within it as that', () => {
  const [own, mapped] = readingOf(
    'worker 22 5002 no',
    'connections 22 [2001:db8::1]:443 1',
    'connections 22 [::ffff:127.0.0.1]:80 1',
  ).connections;
  expect(own).toMatchObject({ address: '2001:db8::1', port: 443 });
  expect(mapped).toMatchObject({ address: '127.0.0.1', port: 80 });
});

test.each([
  // Written at …60.25; a worker of tick 5000 began at 1700000100.5 - (9000 - 5000) / 100 = …60.5.
  { workers: ['worker 21 5000 no'], isLoaded: true },
  { workers: ['worker 21 4970 no'], isLoaded: false },
  { workers: ['worker 21 5000 no', 'worker 22 4970 no'], isLoaded: false },
  { workers: ['worker 21 5000 no', 'worker 22 4970 yes'], isLoaded: true },
  { workers: ['worker 22 5000 yes'], isLoaded: false },
  { workers: [], isLoaded: false },
])('with $workers, that nginx has loaded the file is $isLoaded', ({ workers, isLoaded }) => {
  expect(readingOf(...workers).isLoaded).toBe(isLoaded);
});

test('what is not a reading is refused', () => {
  expect(() => readNginx(nginx).parse('sorry')).toThrow('not what was read of nginx: "sorry"');
});

test('where no master runs, both say so by their status', () => {
  for (const command of [readNginx(nginx), changeNginx({ ...nginx, digest, withinMs: 1000 })]) {
    const { status, stderr } = spawnSync('sh', ['-c', strictCommand(command.script, null)], {
      encoding: 'utf8',
    });
    expect(status).toBe(nginxExits.notRunning);
    expect(stderr).toBe('nginx does not run (/nowhere/nginx.pid names no process)\n');
  }
});

test('whoever has to become another user does all of it as that user, and sudo never asks', () => {
  expect(readNginx({ ...nginx, become: 'root' }).script).toMatch(/^sudo -n -u root -- sh -c 'set -eu\n/);
});
