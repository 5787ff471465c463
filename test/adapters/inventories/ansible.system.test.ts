import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inventoryKinds } from '../../../src/adapters/inventories/index.ts';

/** With the real ansible-inventory. */

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-ansible-'));
  mkdirSync(join(directory, 'group_vars'));
  writeFileSync(
    join(directory, 'group_vars/web.yml'),
    'ansible_user: deploy\nrack: a1\nansible_password: hunter2\n',
  );
  writeFileSync(
    join(directory, 'hosts.ini'),
    [
      '[web]',
      'web[1:2].example.org',
      'web3.example.org ansible_host=10.0.0.3 ansible_port=2222 ansible_user=ann',
      '[jobs]',
      'web3.example.org',
      '[db]',
      'db1.example.org',
      '[shop:children]',
      'web',
    ].join('\n'),
  );
  writeFileSync(
    join(directory, 'more.yml'),
    ['blue:', '  hosts:', '    web1.example.org: { ansible_host: 10.0.0.1 }', 'empty:', '  hosts: {}'].join(
      '\n',
    ),
  );
});
afterAll(() => rmSync(directory, { recursive: true }));

const listOf = (
  options: { readonly inventory: readonly string[]; readonly group: string },
  path = '/usr/bin:/bin',
) => inventoryKinds.ansible.create(options, { directory, env: { PATH: path, HOME: directory } });

test('groups, ranges, variables and several inventories are as Ansible itself reads them', async () => {
  const list = listOf({ inventory: ['hosts.ini', 'more.yml'], group: 'shop' });
  expect(list.shown).toBe('group shop of the Ansible inventory hosts.ini and more.yml');
  const common = { user: 'deploy', labels: { rack: 'a1' } };
  expect(await list.list(60_000)).toEqual([
    { ...common, name: 'web1.example.org', address: '10.0.0.1', roles: ['blue', 'shop', 'web'] },
    { ...common, name: 'web2.example.org', address: 'web2.example.org', roles: ['shop', 'web'] },
    {
      ...common,
      name: 'web3.example.org',
      address: '10.0.0.3',
      port: 2222,
      user: 'ann',
      roles: ['jobs', 'shop', 'web'],
    },
  ]);
});

test('a group that there is not, and an Ansible that there is not, are said', async () => {
  await expect(listOf({ inventory: ['hosts.ini'], group: 'wep' }).list(60_000)).rejects.toMatchObject({
    code: 'NODES_UNLISTED',
    details: { reason: 'the inventory has no such group' },
  });
  await expect(listOf({ inventory: ['hosts.ini'], group: 'web' }, '/nowhere').list(60_000)).rejects.toThrow(
    'there is no ansible-inventory on this machine, which comes with Ansible (ansible-core)',
  );
});
