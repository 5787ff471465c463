import { expect, test } from 'vitest';
import { disagreements, memberName } from '../../src/core/agreement.ts';
import type { BalancerState, Observation, ServerState } from '../../src/core/observation.ts';
import { fleet, server } from './fleet.ts';

const member = (balancer: string, name = balancer, more: Partial<BalancerState> = {}): BalancerState => ({
  balancer,
  member: name,
  unreachable: null,
  incarnation: '1',
  pool: null,
  ...more,
});

const at = (balancer: string, more: Partial<ServerState> = {}): ServerState =>
  server('web1', { balancer, member: balancer, server: `${balancer} web/web1`, ...more });

/** Two balancers in front of web1. */
const pair = (one: Partial<ServerState>, other: Partial<ServerState>): Observation => ({
  ...fleet(1),
  balancers: [member('lb1'), member('lb2')],
  servers: [at('lb1', one), at('lb2', other)],
});

test('balancers that see the same agree', () => {
  expect(disagreements(pair({}, {}))).toEqual([]);
});

test('each difference is a sentence that says who sees what', () => {
  expect(disagreements(pair({ rotation: 'out' }, {}))).toEqual([
    'Balancers do not agree on the rotation of web1: out at lb1 and in at lb2.',
  ]);
  expect(disagreements(pair({ health: 'down' }, { weight: 50 }))).toEqual([
    'Balancers do not agree on the health of web1: down at lb1 and up at lb2.',
    'Balancers do not agree on the weight of web1: 100 % at lb1 and 50 % at lb2.',
  ]);
});

test('who does not check a node does not say that it is ill', () => {
  expect(disagreements(pair({ health: 'unchecked' }, {}))).toEqual([]);
  expect(disagreements(pair({ rotation: 'out', health: 'down' }, { rotation: 'out' }))).toEqual([]);
});

test('an address that is not held by one is said', () => {
  const held = (holders: readonly string[], unasked: readonly string[] = []) =>
    disagreements({
      ...pair({}, {}),
      addresses: [
        {
          address: 'front',
          ip: '192.0.2.10',
          holders,
          unasked: unasked.map((machine) => ({ machine, reason: 'it is off.' })),
        },
      ],
    });
  expect(held(['lb1'])).toEqual([]);
  expect(held(['lb1', 'lb2'])).toEqual([
    'Address front (192.0.2.10) is held by lb1 and lb2 at once: they have lost sight of each other.',
  ]);
  expect(held([], ['lb1'])).toEqual([
    'Address front (192.0.2.10) is seen to be held by nobody.',
    'Address front (192.0.2.10): whether lb1 holds it cannot be seen: it is off.',
  ]);
});

test('weights within a point are the same', () => {
  expect(disagreements(pair({ weight: 33.3 }, { weight: 33 }))).toEqual([]);
});

test('a member that cannot be read, and pools that differ, are said', () => {
  const observed = pair({}, {});
  const [web1] = Object.values(observed.nodes);
  expect(
    disagreements({
      ...observed,
      balancers: [member('lb1'), member('lb2', 'lb2', { unreachable: 'it is gone' })],
    }),
  ).toEqual(['it is gone']);
  expect(
    disagreements({
      ...observed,
      nodes: { web1: { ...web1!, pool: 'blue' } },
      balancers: [member('lb1', 'lb1', { pool: 'blue' }), member('lb2', 'lb2', { pool: 'green' })],
    })[0],
  ).toContain('one and the same pool: lb1 to blue and lb2 to green');
});

test('balancers that give pools the same parts agree, and others are said with theirs', () => {
  const observed = pair({}, {});
  const [web1] = Object.values(observed.nodes);
  const sharing = (...greens: readonly number[]): readonly string[] =>
    disagreements({
      ...observed,
      nodes: { web1: { ...web1!, pool: 'blue' } },
      balancers: greens.map((green, i) =>
        member(
          `lb${i + 1}`,
          `lb${i + 1}`,
          green === 0 ? { pool: 'blue' } : { parts: { green, blue: 100 - green } },
        ),
      ),
    });
  expect(sharing(20, 20)).toEqual([]);
  expect(sharing(20, 5)[0]).toContain('lb1 to blue 80 % and green 20 % and lb2 to blue 95 % and green 5 %.');
  expect(sharing(20, 0)[0]).toContain('lb1 to blue 80 % and green 20 % and lb2 to blue.');
});

test('a member has the name of its balancer, unless that has several', () => {
  const balancers = [member('lb1'), member('lb2', '/run/a'), member('lb2', '/run/b')];
  expect(balancers.map((one) => memberName({ balancers }, one))).toEqual(['lb1', 'lb2 /run/a', 'lb2 /run/b']);
});
