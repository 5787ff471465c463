import { expect, test } from 'vitest';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import type { BalancerKind } from '../../../src/adapters/balancers/kind.ts';
import type { NodeCommand } from '../../../src/core/command.ts';
import { failure } from '../../../src/core/errors.ts';
import { parseFields } from '../../../src/core/field.ts';
import type { Balancer, Host, Transport } from '../../../src/ports.ts';

const ip = '192.0.2.10';
const machines = { blue: 'lb-blue', green: 'lb-green' };

function balancerOf(
  more: object = {},
  at: { holders: readonly string[]; down?: readonly string[] } = { holders: ['lb-blue'] },
): Balancer {
  const kind: BalancerKind = balancerKinds.address;
  const address = { kind: 'keepalived', ip, trackFile: '/run/fault', timeout: '200ms' };
  const read = parseFields(kind.options, { address, machines, ...more }, 'balancers.front');
  if (!read.ok) throw new Error(read.problems.join('\n'));
  const transport = {
    async run({ name }: Host, { name: command, params }: NodeCommand) {
      if (at.down?.includes(name))
        throw failure('NODE_UNREACHABLE', { node: name, address: name, reason: 'no route to host' });
      if (command === 'write-track-file' && params.value === 1)
        at.holders = ['lb-blue', 'lb-green'].filter((other) => other !== name);
      return {
        status: 0,
        stdout: at.holders.includes(name) ? `2: eth0    inet ${ip}/32 scope global` : '',
        stderr: '',
      };
    },
  };
  return kind.create({
    name: 'front',
    options: read.value,
    nodes: ['web1', 'web2'],
    pools: { web1: 'blue', web2: 'green' },
    transport: transport as unknown as Transport,
  });
}

test('the pool whose machine holds the address is live, and a flip moves it', async () => {
  const balancer = balancerOf();
  const live = async () => (await balancer.observe()).members.map(({ pool }) => pool);
  expect([balancer.capabilities.flip, await live()]).toEqual(['kept', ['blue']]);
  await balancer.flip('green');
  expect(await live()).toEqual(['green']);
});

test('what the live pool has in flight nobody counts, what the other one had was cut', async () => {
  const { servers } = await balancerOf().observe();
  expect(servers.map(({ node, rotation, sessions }) => [node, rotation, sessions])).toEqual([
    ['web1', 'in', null],
    ['web2', 'in', 0],
  ]);
});

test('an address that two machines hold shows no live pool, and nothing is said to be empty', async () => {
  const { members, servers } = await balancerOf({}, { holders: ['lb-blue', 'lb-green'] }).observe();
  expect([members[0]?.pool, members[0]?.unreachable]).toEqual([null, null]);
  expect(servers.map(({ sessions }) => sessions)).toEqual([null, null]);
});

test('one that is seen nowhere while a machine cannot be asked is not known', async () => {
  const view = await balancerOf({}, { holders: [], down: ['lb-green'] }).observe();
  expect([view.members[0]?.unreachable, view.servers]).toEqual([expect.stringContaining('no route'), []]);
  const seen = await balancerOf({}, { holders: ['lb-blue'], down: ['lb-green'] }).observe();
  expect([seen.members[0]?.unreachable, seen.members[0]?.pool]).toEqual([null, 'blue']);
});

test('it takes no node out, and cannot flip where the address cannot be moved', async () => {
  const fixed = balancerOf({ address: { kind: 'keepalived', ip } });
  expect(fixed.capabilities.flip).toBe('none');
  await expect(fixed.flip('green')).rejects.toMatchObject({ code: 'BALANCER_REFUSED' });
  await expect(balancerOf().change([{ node: 'web1', server: null, to: 'out' }])).rejects.toMatchObject({
    code: 'BALANCER_REFUSED',
    message: expect.stringContaining('it only moves an address'),
  });
});

test('there is a machine for each of two pools', () => {
  expect(() => balancerOf({ machines: { blue: 'lb-blue' } })).toThrow(
    'balancers.front.machines: expected an object with a machine for each of two pools',
  );
});
