import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { readMachine } from '../../src/commands/machine.ts';
import { strictCommand } from '../../src/commands/shell.ts';
import { nodeFolder } from './node-folder.ts';

const tools = ['sh', 'cat', 'find', 'sed', 'sha256sum', 'readlink'];

/** Root may read everything, unless it goes without the privilege. */
const likeAnyUser =
  process.getuid?.() === 0 ? ['setpriv', '--bounding-set', '-dac_override,-dac_read_search'] : [];

/** A machine whose package manager is a script; nothing else that is one is found. */
function machine(manager = 'apk', output = '') {
  const folder = nodeFolder();
  folder.write('etc/nginx/nginx.conf', 'worker_processes 4;\n');
  folder.write(`bin/${manager}`, `#!/bin/sh\ncat <<'END'\n${output}\nEND\n`);
  folder.chmod(`bin/${manager}`, 0o755);
  for (const tool of tools)
    folder.symlink(
      execFileSync('sh', ['-c', `command -v ${tool}`], { encoding: 'utf8' }).trim(),
      `bin/${tool}`,
    );
  const etc = (path: string): string => `${folder.dir}/etc/${path}`;
  const command = readMachine([etc('nginx'), etc('absent')]);
  return {
    ...folder,
    etc,
    look() {
      const script = strictCommand(`PATH=${folder.dir}/bin\n${command.script}`, null);
      const [program, ...given] = [...likeAnyUser, 'sh', '-c', script];
      const { stdout, stderr, status } = spawnSync(program!, given, { encoding: 'utf8' });
      expect([status, stderr]).toEqual([0, '']);
      return { stdout, ...command.parse(stdout) };
    },
  };
}

test.each([
  [
    'dpkg-query',
    'installed nginx 1.22.1-9\nconfig-files apache2 2.4\ninstalled libc6:amd64 2.36-9',
    { nginx: '1.22.1-9', 'libc6:amd64': '2.36-9' },
  ],
  [
    'rpm',
    'p kernel.x86_64 0:5.14-2\np nginx.x86_64 1:1.20-1\np kernel.x86_64 0:5.14-1',
    { 'kernel.x86_64': '0:5.14-1 0:5.14-2', 'nginx.x86_64': '1:1.20-1' },
  ],
  [
    'apk',
    'nginx-mod-http-lua-1.24.0-r7\nbusybox-1.36.1-r2',
    { 'nginx-mod-http-lua': '1.24.0-r7', busybox: '1.36.1-r2' },
  ],
  ['pkg_info', 'nginx-1.24', null],
])('packages are those that %s says are installed', (manager, output, packages) => {
  expect(machine(manager, output).look().packages).toEqual(packages);
});

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

test('a file is known by its digest alone, a link by where it leads', () => {
  const { look, etc, symlink, write, read } = machine();
  symlink('../sites-available/shop', 'etc/nginx/shop');
  write("etc/nginx/conf d/it's.conf", 'sesame');
  write('etc/nginx/two\nlines', 'x');
  const { stdout, files, paths, unread } = look();
  expect(files).toEqual({
    [etc('nginx/nginx.conf')]: sha256(read('etc/nginx/nginx.conf')),
    [etc("nginx/conf d/it's.conf")]: sha256('sesame'),
    [etc('nginx/shop')]: '-> ../sites-available/shop',
  });
  expect([paths, unread]).toEqual([[etc('nginx'), etc('absent')], []]);
  expect(stdout).not.toContain('sesame');
});

test('what may not be read is named, and keeps nothing else from being read', () => {
  const { look, etc, write, mkdir, chmod } = machine();
  write('etc/nginx/key.pem', 'x');
  chmod('etc/nginx/key.pem', 0);
  mkdir('etc/nginx/private');
  chmod('etc/nginx/private', 0);
  const { files, unread } = look();
  expect(Object.keys(files)).toEqual([etc('nginx/nginx.conf')]);
  expect([...unread].sort()).toEqual([etc('nginx/key.pem'), etc('nginx/private')]);
});
