import { expect, test } from 'vitest';
import { weakSpots } from '../../src/engine/weak-spots.ts';
import type { Balancer } from '../../src/ports.ts';
import { fleet } from '../core/fleet.ts';

const drain = { timeoutMs: 30_000 };

const balancer = (name: string, rotation: 'kept' | 'forgotten'): Balancer =>
  ({ name, capabilities: { successor: { rotation, requests: 'counted' } } }) as Balancer;

/** Balancers that keep what they are told, in front of two nodes. */
const pair = (() => {
  const observed = fleet(2);
  const [lb] = observed.balancers;
  return { ...observed, balancers: [lb!, { ...lb!, balancer: 'lb2', member: 'lb2' }] };
})();

test('a pair that checks its nodes and forgets nothing has no weak spot', () => {
  expect(weakSpots([balancer('lb', 'kept'), balancer('lb2', 'kept')], pair, drain)).toEqual([]);
});

test('without balancers there is nothing to say of them', () => {
  expect(weakSpots([], { ...pair, balancers: [], servers: [] }, drain)).toEqual([]);
});

test('the only balancer is one', () => {
  expect(weakSpots([], fleet(2), drain)).toEqual([expect.stringContaining('Balancer lb is the only one')]);
});

test('nodes that get requests without being checked are one', () => {
  const servers = pair.servers.map((server) => ({ ...server, health: 'unchecked' as const }));
  expect(weakSpots([], { ...pair, servers }, drain)).toEqual([
    'Balancer lb makes no health checks of web1 and web2: it does not notice one that is dead.',
  ]);
  const out = servers.map((server) => ({ ...server, rotation: 'out' as const }));
  expect(weakSpots([], { ...pair, servers: out }, drain)).toEqual([]);
});

test('a balancer that forgets who is out is one', () => {
  expect(weakSpots([balancer('lb', 'kept'), balancer('lb2', 'forgotten')], pair, drain)).toEqual([
    expect.stringMatching(
      /^1 balancer \(lb2\) would forget .* a node that is out by hand would get traffic\.$/,
    ),
  ]);
});

test('what a member of a balancer says of its own settings is one, with its name', () => {
  const [lb, lb2] = pair.balancers;
  const balancers = [{ ...lb!, weakSpots: ['drops every tenth request: tell it not to.'] }, lb2!];
  expect(weakSpots([], { ...pair, balancers }, drain)).toEqual([
    `Balancer lb (${lb!.member}) drops every tenth request: tell it not to.`,
  ]);
});

test('a balancer that notices a dead node later than a drain may take is one, with its figures', () => {
  const noticing = (noticesDeadWithinMs: number | null) => ({
    ...pair,
    balancers: pair.balancers.map((one) => ({ ...one, noticesDeadWithinMs })),
  });
  expect(weakSpots([], noticing(150_000), drain)[0]).toMatch(
    /^Balancer lb notices a dead node only after 150 s .* longer than drain\.timeout \(30 s\)/,
  );
  for (const ms of [30_000, 0, null]) expect(weakSpots([], noticing(ms), drain)).toEqual([]);
});
