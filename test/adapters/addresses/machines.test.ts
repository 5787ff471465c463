import { expect, onTestFinished, test, vi } from 'vitest';
import { addressKinds } from '../../../src/adapters/addresses/index.ts';
import { showAddress } from '../../../src/commands/address.ts';
import { failure } from '../../../src/core/errors.ts';
import type { Host, Transport } from '../../../src/ports.ts';
import { addressOf, ip } from './kinds.ts';

const held = `2: eth0    inet ${ip}/32 scope global secondary eth0\\       valid_lft forever preferred_lft forever\n`;

/** What each machine prints when it is asked; null: it cannot be reached. */
const asking = (answers: Readonly<Record<string, string | null>>) => ({
  async run({ name }: Host) {
    const stdout = answers[name];
    if (typeof stdout === 'string') return { status: 0, stdout, stderr: '' };
    throw failure('NODE_UNREACHABLE', { node: name, address: name, reason: 'no route to host' });
  },
});

const holders = (answers: Readonly<Record<string, string | null>>) =>
  addressOf('keepalived', {}, asking(answers)).holders();

test('who has the address on an interface holds it: one, none or two', async () => {
  expect(await holders({ lb1: held, lb2: '' })).toEqual({
    address: 'front',
    ip,
    holders: ['lb1'],
    unasked: [],
  });
  expect((await holders({ lb1: '', lb2: '' })).holders).toEqual([]);
  expect((await holders({ lb1: held, lb2: held })).holders).toEqual(['lb1', 'lb2']);
});

test('a machine that cannot be asked says why, and the other is asked all the same', async () => {
  expect(await holders({ lb1: null, lb2: held })).toMatchObject({
    holders: ['lb2'],
    unasked: [{ machine: 'lb1', reason: 'lb1 (lb1) could not be reached: no route to host.' }],
  });
});

test('a machine that nobody says how to reach is not taken for this one', async () => {
  const address = addressKinds.keepalived.create({
    name: 'front',
    options: { ip, trackFile: null },
    machines: { lb1: null, lb2: null },
    transport: asking({}) as unknown as Transport,
  });
  const { holders: seen, unasked } = await address.holders();
  expect([seen, unasked[0]?.reason]).toEqual([[], expect.stringContaining('its balancer has no host')]);
});

test('a machine that falls silent does not keep the look at the other one', async () => {
  const { run } = asking({ lb2: held });
  const silent = {
    run: (host: Host) =>
      host.name === 'lb1' ? new Promise<Awaited<ReturnType<typeof run>>>(() => {}) : run(host),
  };
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const look = addressOf('keepalived', {}, silent).holders();
  await vi.advanceTimersByTimeAsync(3000);
  expect(await look).toMatchObject({
    holders: ['lb2'],
    unasked: [{ machine: 'lb1', reason: expect.stringContaining('did not answer within 3000 ms') }],
  });
});

test('an IPv6 address that is still tried out, or is another machine’s, is not held', () => {
  const { parse, script } = showAddress('2001:db8::1');
  const line = (flags: string) =>
    `2: eth0    inet6 2001:db8::1/128 scope global${flags} \\       valid_lft forever\n`;
  expect(script).toContain(' -6 ');
  expect([line(''), line(' tentative'), line(' dadfailed tentative')].map(parse)).toEqual([
    true,
    false,
    false,
  ]);
});

test('only an address is taken for one', () => {
  for (const wrong of ['192.0.2', 'front.example.org', 42])
    expect(() => addressOf('keepalived', { ip: wrong }, asking({}))).toThrow(
      'addresses.front.ip: expected an IPv4 or IPv6 address',
    );
});
