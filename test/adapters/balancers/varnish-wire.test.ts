import { expect, test } from 'vitest';
import type { CliAnswer } from '../../../src/adapters/balancers/varnish-cli.ts';
import { readCommands, readingOf } from '../../../src/adapters/balancers/varnish-wire.ts';

const ok = (...parts: readonly unknown[]): CliAnswer => ({
  status: 200,
  text: JSON.stringify([2, ['x'], 1.5, ...parts]),
});

const backend = (admin_health: string, probe_message: readonly unknown[], type = 'backend') => ({
  type,
  admin_health,
  probe_message,
  last_change: 1,
});

const pid = ok({ master: 7, worker: 8 });
const vcls = ok(
  { status: 'available', state: 'auto', temperature: 'warm', name: 'shop.v1' },
  { status: 'available', state: 'auto', temperature: 'cold', name: 'old' },
  {
    status: 'available',
    state: 'label',
    temperature: 'warm',
    name: 'shop',
    label: { name: 'shop.v1', refs: 1 },
  },
  { status: 'active', state: 'auto', temperature: 'warm', name: 'router' },
);
const deps = ok(
  { name: 'shop.v1', deps: [] },
  { name: 'old', deps: [] },
  { name: 'shop', deps: ['shop.v1'] },
  { name: 'router', deps: ['shop', 'shop'] },
);
const backends = ok({
  'shop.v1.web1': backend('probe', [4, 4, 'healthy']),
  'shop.v1.web2': backend('sick', [0, 4, 'sick']),
  'shop.v1.web3': backend('healthy', [0, 0, 'healthy']),
  'shop.v1.web4': backend('deleted', [4, 4, 'healthy']),
  'shop.v1.pool': backend('probe', [2, 2, 'healthy'], 'round-robin'),
  'old.web1': backend('probe', [4, 4, 'healthy']),
});

const read = (...changed: readonly (readonly [number, CliAnswer])[]) => {
  const answers = [pid, vcls, deps, backends];
  for (const [i, answer] of changed) answers[i] = answer;
  return readingOf(answers);
};

test('requests get to the VCL in use and to those behind its labels', () => {
  expect(read()).toMatchObject({
    incarnation: '7/8 router shop shop.v1',
    serving: ['router', 'shop', 'shop.v1'],
    labels: new Map([['shop', 'shop.v1']]),
  });
});

test('backends are read and directors are not; a backend that is to be deleted is gone', () => {
  expect(read().backends).toEqual([
    { vcl: 'shop.v1', backend: 'web1', rotation: 'in', health: 'up' },
    { vcl: 'shop.v1', backend: 'web2', rotation: 'out', health: 'down' },
    { vcl: 'shop.v1', backend: 'web3', rotation: 'in', health: 'unchecked' },
    { vcl: 'old', backend: 'web1', rotation: 'in', health: 'starting' },
  ]);
});

test('labels that lead in a circle come to an end', () => {
  const circle = ok({ name: 'router', deps: ['shop'] }, { name: 'shop', deps: ['router'] });
  expect(read([2, circle]).serving).toEqual(['router', 'shop']);
});

test.each([
  ['a child that does not run', 0, ok({ master: 7 }), /no VCL is in use/],
  ['no VCL in use', 1, ok(), /no VCL is in use/],
  [
    'an error',
    3,
    { status: 101, text: 'Unknown request.\nType help.\n' },
    /"backend.list -j \*\.\*" with 101 Unknown request. Type help./,
  ],
  ['what is no JSON', 1, { status: 200, text: 'boot active' }, /JSON/],
  ['JSON of another kind', 2, { status: 200, text: '{}' }, /not a list/],
  ['a part that is no object', 0, ok(7), /not an object/],
  ['a VCL without a name', 1, ok({ status: 'active' }), /not a text/],
  ['a backend without a probe message', 3, ok({ 'boot.web1': { type: 'backend' } }), /probe_message/],
] as const)('%s is refused', (_, i, answer, message) => {
  expect(readCommands).toHaveLength(4);
  expect(() => read([i, answer])).toThrow(message);
});
