import { describe, expect, test } from 'vitest';
import { type ClusterState, clusterOf } from './cluster.ts';
import { addressOf } from './kinds.ts';

const options = { resource: 'vip', names: { lb2: 'node-b' }, timeout: '300ms' };

function cluster(version: '0.10' | '0.11', more: Partial<ClusterState> = {}) {
  const made = clusterOf(version, more);
  return { ...made, address: addressOf('pacemaker', options, made.transport) };
}

describe.each(['0.10', '0.11'] as const)('with pcs %s', (version) => {
  test('an address moves, and back, and leaves no constraint behind', async () => {
    const { address, state } = cluster(version);
    await address.move!('lb2');
    expect(state()).toMatchObject({ at: 'node-b', constraints: [] });
    expect((await address.holders()).holders).toEqual(['lb2']);
    await address.move!('lb1');
    expect(state()).toMatchObject({ at: 'lb1', constraints: [] });
  });

  test('to move it to where it is changes nothing', async () => {
    const { address, state } = cluster(version);
    await address.move!('lb1');
    expect(state()).toMatchObject({ at: 'lb1', constraints: [] });
  });

  test('constraints that an operator made stay', async () => {
    const { address, state } = cluster(version, {
      constraints: ['location-vip-lb1-50', 'cli-ban-vip-on-lb1'],
    });
    await address.move!('lb2');
    expect(state()).toMatchObject({
      at: 'node-b',
      constraints: ['location-vip-lb1-50', 'cli-ban-vip-on-lb1'],
    });
  });

  test('a move that fails is an error, and leaves no constraint behind either', async () => {
    const { address, state } = cluster(version, { failsToMove: true });
    await expect(address.move!('lb2')).rejects.toMatchObject({
      code: 'COMMAND_FAILED',
      message: expect.stringContaining('could not be started'),
    });
    expect(state()).toMatchObject({ at: 'lb1', constraints: [] });
  });

  test('an address that does not stay is an error', async () => {
    const { address, state } = cluster(version, { home: 'lb1' });
    await expect(address.move!('lb2')).rejects.toMatchObject({
      code: version === '0.10' ? 'ADDRESS_NOT_MOVED' : 'COMMAND_FAILED',
    });
    expect(state()).toMatchObject({ at: 'lb1', constraints: [] });
  });
});

test('only names are taken as names', () => {
  for (const resource of ['vip; reboot', '-f', 'a.b'])
    expect(() => addressOf('pacemaker', { resource }, clusterOf('0.11').transport)).toThrow('front.resource');
});
