import { expect, test } from 'vitest';
import type { NodeCommand } from '../../../src/core/command.ts';
import { failure } from '../../../src/core/errors.ts';
import type { Host } from '../../../src/ports.ts';
import { addressOf, ip } from './kinds.ts';

const options = { trackFile: '/run/keepalived/site', timeout: '300ms' };

/** Two machines that speak VRRP: the address is where nothing is at fault, and stays where it is if it may. */
function vrrp({ unreachable = [] as readonly string[], isStuck = false } = {}) {
  const files = new Map<string, number>();
  const written: string[] = [];
  let at: string | null = 'lb1';
  const able = (name: string): boolean => !unreachable.includes(name) && files.get(name) !== 1;
  return {
    files,
    written,
    at: () => at,
    async run({ name }: Host, { name: kind, params }: NodeCommand) {
      if (unreachable.includes(name))
        throw failure('NODE_UNREACHABLE', { node: name, address: name, reason: 'no route to host' });
      if (kind === 'write-track-file') {
        files.set(name, Number(params.value));
        written.push(`${name} ${params.value}`);
        if (!isStuck && !(at !== null && able(at))) at = ['lb1', 'lb2'].find(able) ?? null;
      }
      return {
        status: 0,
        stdout: at === name ? `2: eth0    inet ${ip}/32 scope global eth0\n` : '',
        stderr: '',
      };
    },
  };
}

test('an address leaves for where there is no fault, and somebody can have it at every moment', async () => {
  const pair = vrrp();
  const address = addressOf('keepalived', options, pair);
  await address.move!('lb2');
  expect([pair.at(), pair.written]).toEqual(['lb2', ['lb2 0', 'lb1 1']]);
  await address.move!('lb1');
  expect([pair.at(), Object.fromEntries(pair.files)]).toEqual(['lb1', { lb1: 0, lb2: 1 }]);
});

test('it moves although the other machine cannot be reached, if it is seen to have come', async () => {
  const pair = vrrp({ unreachable: ['lb1'] });
  await pair.run({ name: 'lb2', address: 'lb2', port: null, user: null }, {
    name: 'write-track-file',
    params: { value: 0 },
  } as unknown as NodeCommand);
  await addressOf('keepalived', options, pair).move!('lb2');
  expect(pair.at()).toBe('lb2');
});

test('one that does not move is an error, and nothing stays at fault', async () => {
  const pair = vrrp({ isStuck: true });
  await expect(addressOf('keepalived', options, pair).move!('lb2')).rejects.toMatchObject({
    code: 'ADDRESS_NOT_MOVED',
    details: { holders: ['lb1'] },
  });
  expect(Object.fromEntries(pair.files)).toEqual({ lb1: 0, lb2: 0 });
});

test('without a file to track it cannot be moved', () => {
  expect(addressOf('keepalived', {}, vrrp()).move).toBe(null);
});
