import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readSshConfig, type SshConfig } from '../../../src/adapters/transports/ssh-config.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ssh-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function read(text: string): Promise<SshConfig> {
  const file = join(folder, 'config');
  await writeFile(file, text);
  return readSshConfig(file);
}

test('a config that is not there says nothing', async () => {
  for (const file of [null, join(folder, 'absent')]) {
    expect((await readSshConfig(file))('web1', null)).toEqual({
      hostName: 'web1',
      user: null,
      port: null,
      identityFiles: [],
      identitiesOnly: false,
      identityAgent: null,
      knownHosts: [],
      hostKeyAlias: null,
      proxyJump: [],
      proxyCommand: null,
    });
  }
});

test('the first value counts, but of identity files all', async () => {
  const config = await read(`
Host web1
  HostName 192.0.2.1
  Port 2222
  IdentityFile ~/.ssh/one
Host *
  HostName never
  port 22
  user deploy
  IdentityFile /keys/%h/%r
`);
  expect(config('web1', null)).toMatchObject({
    hostName: '192.0.2.1',
    port: 2222,
    user: 'deploy',
    identityFiles: [join(homedir(), '.ssh/one'), '/keys/192.0.2.1/deploy'],
  });
});

test('host name patterns, %h and Match user are followed', async () => {
  const config = await read('Host web? !web3\n  HostName %h.example.org\nMatch user root\n  Port 2200\n');
  expect(config('web1', null).hostName).toBe('web1.example.org');
  expect(config('web3', null).hostName).toBe('web3');
  expect(config('web3', 'root').port).toBe(2200);
});

test('jump hosts are a list, none is none', async () => {
  const config = await read(
    'Host a\n  ProxyJump x@one:2222,two\nHost b\n  ProxyJump none\n  ProxyCommand nc %h %p\n',
  );
  expect(config('a', null).proxyJump).toEqual(['x@one:2222', 'two']);
  expect(config('b', null)).toMatchObject({ proxyJump: [], proxyCommand: 'nc %h %p' });
});

test('the agent is a path, a variable, the usual one or none', async () => {
  process.env.TEST_AGENT = '/run/agent';
  const config = await read(`
Host path
  IdentityAgent ~/agent.sock
Host variable
  IdentityAgent $TEST_AGENT
Host usual
  IdentityAgent SSH_AUTH_SOCK
Host none
  IdentityAgent none
`);
  const agents = ['path', 'variable', 'usual', 'none'].map((host) => config(host, null).identityAgent);
  expect(agents).toEqual([join(homedir(), 'agent.sock'), '/run/agent', null, 'none']);
});

test('several known_hosts files stand on one line', async () => {
  const config = await read(
    `UserKnownHostsFile "/a b/known" ~/known_%u\nHostKeyAlias web\nIdentitiesOnly yes\n`,
  );
  expect(config('web1', null)).toMatchObject({
    knownHosts: ['/a b/known', join(homedir(), `known_${userInfo().username}`)],
    hostKeyAlias: 'web',
    identitiesOnly: true,
  });
});

test('included files count where they stand, and only there', async () => {
  await mkdir(join(folder, 'parts'));
  await writeFile(join(folder, 'parts/10-web'), 'Host web1\n  User included\n  Port 2201\n');
  await writeFile(join(folder, 'parts/20-all'), 'User all\n');
  const config = await read('Host web1\n  Port 2200\nHost *\n  Include parts/20-all\n');
  expect(config('web1', null)).toMatchObject({ user: 'all', port: 2200 });
  const both = await read('Include parts/*\nHost web1\n  Port 1\n');
  expect(both('web1', null)).toMatchObject({ user: 'included', port: 2201 });
  expect(both('web2', null)).toMatchObject({ user: 'all', port: null });
});

test('files that include each other come to an end', async () => {
  const config = await read('Include config\nUser deploy\n');
  expect(config('web1', null).user).toBe('deploy');
});

test('a config that cannot be parsed is named', async () => {
  await expect(read('Host "web1\n')).rejects.toThrow(`${folder}/config could not be read`);
});
