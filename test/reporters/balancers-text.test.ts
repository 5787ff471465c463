import { expect, test } from 'vitest';
import { disagreements } from '../../src/core/agreement.ts';
import type { Observation } from '../../src/core/observation.ts';
import { balancersText } from '../../src/reporters/balancers-text.ts';
import { paintWith } from '../../src/reporters/paint.ts';
import { node, observation, oldRelease, server, serversOn } from './example-site.ts';

const text = (observed: Observation): string =>
  balancersText({
    wanted: 'production',
    observed,
    remarks: disagreements(observed),
    paint: paintWith(false),
  });

const nodes = ['web1', 'web2'].map((name) => node(name, oldRelease));

test('what members see stands side by side', () => {
  expect(
    text(
      observation(
        nodes,
        ['web1', 'web2'].flatMap((name) => serversOn(name)),
      ),
    ),
  ).toBe(`\
production: as its balancers see it

node  lb1                  lb2
web1  in, up, 3 in flight  in, up, 3 in flight
web2  in, up, 3 in flight  in, up, 3 in flight

All agree.
`);
});

test('a member that is down, and one that thinks otherwise', () => {
  const observed = observation(nodes, [
    server('lb1', 'web1', { rotation: 'out', health: 'unchecked', sessions: 0 }),
    server('lb2', 'web1', { weight: 50 }),
  ]);
  const lb3 = { ...observed.balancers[0]!, balancer: 'lb3', member: 'lb3', unreachable: 'lb3 is gone.' };
  expect(text({ ...observed, balancers: [...observed.balancers, lb3] })).toBe(`\
production: as its balancers see it

node  lb1                          lb2                               lb3
web1  out, unchecked, 0 in flight  in, up, weight 50 %, 3 in flight  ?

! lb3 is gone.
! Balancers do not agree on the rotation of web1: out at lb1 and in at lb2.
! Balancers do not agree on the weight of web1: 100 % at lb1 and 50 % at lb2.
`);
});

test('who holds an address stands below', () => {
  const front = { address: 'front', ip: '192.0.2.10', holders: ['lb2'], unasked: [] };
  expect(text({ ...observation(nodes), addresses: [front] })).toContain(
    '\nfront (192.0.2.10) is held by lb2.\n',
  );
});

test('the live pool of each stands below', () => {
  const observed = observation(
    nodes.map((one) => ({ ...one, pool: 'blue' })),
    serversOn('web1'),
  );
  const balancers = observed.balancers.map((one) => ({ ...one, pool: 'blue' }));
  expect(text({ ...observed, balancers })).toContain('\nlive pool  blue                 blue\n');
  const [lb1, lb2] = observed.balancers.map((one) => ({ ...one, parts: { blue: 80, green: 20 } }));
  const shared = text({ ...observed, balancers: [lb1!, lb2!] });
  expect(shared).toContain('\nlive pool  blue 80 %, green 20 %  blue 80 %, green 20 %\n');
  expect(shared).toContain('All agree.');
});
