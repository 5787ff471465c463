import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { routeTo } from '../../../src/adapters/transports/route.ts';
import { readSshConfig } from '../../../src/adapters/transports/ssh-config.ts';
import type { SshSettings } from '../../../src/core/site.ts';
import type { Host } from '../../../src/ports.ts';
import { hostOf, settingsOf } from './settings.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'route-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function route(text: string, settings: Partial<SshSettings> = {}, host: Partial<Host> = {}) {
  await writeFile(join(folder, 'config'), text);
  const config = await readSshConfig(join(folder, 'config'));
  return routeTo(hostOf({ address: 'web1', ...host }), settingsOf(settings), config);
}

async function places(...args: Parameters<typeof route>): Promise<readonly string[]> {
  return (await route(...args)).map(({ user, hostName, port }) => `${user}@${hostName}:${port}`);
}

const me = userInfo().username;

test('the host wins over the settings, the settings over the OpenSSH config, which wins over nothing', async () => {
  const config = 'Host web1\n  User c\n  Port 3\n';
  const settings = { user: 's', port: 2 };
  expect(await places(config, settings, { user: 'h', port: 1 })).toEqual(['h@web1:1']);
  expect(await places(config, settings)).toEqual(['s@web1:2']);
  expect(await places(config)).toEqual(['c@web1:3']);
  expect(await places('')).toEqual([`${me}@web1:22`]);
});

test('jump hosts of the settings take user and port from their own text or the config, not from the settings', async () => {
  const jump = ['a@one:2222', 'two', '[2001:db8::1]:2201', 'ssh://b@three'];
  const config = 'Host two\n  HostName 192.0.2.2\n  User t\n';
  expect(await places(config, { jump, user: 'deploy', port: 99 })).toEqual([
    'a@one:2222',
    't@192.0.2.2:22',
    `${me}@2001:db8::1:2201`,
    'b@three:22',
    'deploy@web1:99',
  ]);
});

test('jump hosts of the config are followed to the outermost', async () => {
  const config = 'Host web1\n  ProxyJump middle\nHost middle\n  ProxyJump outer\n';
  expect(await places(config)).toEqual([`${me}@outer:22`, `${me}@middle:22`, `${me}@web1:22`]);
});

test('a jump host is itself reached through those before it', async () => {
  const jump = ['outer', 'middle'];
  expect(await places('', { jump }, { address: 'middle' })).toEqual([`${me}@outer:22`, `${me}@middle:22`]);
  expect(await places('Host *\n  ProxyJump outer\n', {}, { address: 'outer' })).toEqual([`${me}@outer:22`]);
});

test('jump hosts that lead to each other are refused', async () => {
  const config = 'Host web1\n  ProxyJump a\nHost a\n  ProxyJump b\nHost b\n  ProxyJump a\n';
  await expect(route(config)).rejects.toThrow('its jump hosts form a loop');
});

test('a jump host that cannot be read is shown', async () => {
  await expect(route('', { jump: ['a@b:c:d'] })).rejects.toThrow('expected as user@host:port, got "a@b:c:d"');
});

test('known_hosts are those of the settings, else of the config, else the usual ones', async () => {
  const known = async (...args: Parameters<typeof route>) => (await route(...args)).at(-1)!.knownHosts;
  const config = 'UserKnownHostsFile /config/known\n';
  expect(await known(config, { knownHosts: ['/settings/known'] })).toEqual(['/settings/known']);
  expect(await known(config)).toEqual(['/config/known']);
  expect(await known('')).toEqual([join(homedir(), '.ssh/known_hosts'), '/etc/ssh/ssh_known_hosts']);
});

test('a key is on record under the alias that the config gives, without a port', async () => {
  const [hop] = await route('HostKeyAlias shop\nPort 2222\n');
  expect(hop).toMatchObject({ port: 2222, recordedAs: { hostName: 'shop', port: 22 } });
});
