import { describe, expect, test } from 'vitest';
import type { BalancerState, Observation } from '../../src/core/observation.ts';
import { paintWith } from '../../src/reporters/paint.ts';
import { driftedNodes, mostLive, statusText } from '../../src/reporters/status-text.ts';
import { newRelease, node, nodeNames, observation, oldRelease, server, serversOn } from './example-site.ts';

const status = (observed: Observation): string =>
  statusText({ wanted: 'production', servingMin: 3, observed, paint: paintWith(false) });

test('a site where all is well', () => {
  expect(status(observation())).toBe(`\
production: 4 of 4 nodes serving (servingMin 3)

node  live            revision  serving  lb1                  lb2
web1  20260113090000  1b2c3d4   yes      in, up, 3 in flight  in, up, 3 in flight
web2  20260113090000  1b2c3d4   yes      in, up, 3 in flight  in, up, 3 in flight
web3  20260113090000  1b2c3d4   yes      in, up, 3 in flight  in, up, 3 in flight
web4  20260113090000  1b2c3d4   yes      in, up, 3 in flight  in, up, 3 in flight

Nothing stands out.
`);
});

const lock = {
  run: 'r9',
  holder: 'bob@ci7',
  host: 'ci7',
  reason: 'deploy main as 20260114093000',
  startedAt: '2026-01-14T09:30:00Z',
  silentMs: 312_000,
  intent: null,
  held: null,
};

test('maintenance mode stands out, whose it is, and since when', () => {
  const since = '2026-01-14T09:30:00Z';
  const text = status(
    observation([
      node('web1', oldRelease, { maintenance: { by: 'run', since, text: '' } }),
      node('web2', oldRelease, { maintenance: { by: 'operator', since, text: '' } }),
      node('web3', oldRelease, { maintenance: { by: 'operator', since, text: 'ada@desk: moving house' } }),
    ]),
  );
  expect(text).toContain(
    '! web1 is in maintenance mode since 2026-01-14T09:30:00Z, which the next deploy or rollback that is done lifts\n',
  );
  expect(text).toContain(
    '! web2 is in maintenance mode since 2026-01-14T09:30:00Z, set by an operator, who lifts it\n',
  );
  expect(text).toContain('set by an operator (ada@desk: moving house), who lifts it\n');
});

test('a site that a dead run left half way', () => {
  const observed = observation(
    [
      node('web1', newRelease, { lock }),
      node('web2', oldRelease, { lock, drained: ['lb1 web/web2', 'lb2 web/web2'] }),
      node('web3', oldRelease),
      node('web4', null, { unreachable: 'web4 (10.0.0.4) could not be reached: connect ECONNREFUSED.' }),
    ],
    [
      ...serversOn('web1'),
      ...serversOn('web2', { rotation: 'out', sessions: 0 }),
      server('lb1', 'web3'),
      server('lb2', 'web3', { rotation: 'draining', sessions: 1 }),
      ...serversOn('web4', { health: 'down', sessions: null }),
    ],
  );
  expect(status(observed)).toBe(`\
production: 1 of 4 nodes serving (servingMin 3)

node  live            revision  serving  lb1                   lb2
web1  20260114093000  3f2a9c1   yes      in, up, 3 in flight   in, up, 3 in flight
web2  20260113090000  1b2c3d4   no       out, up, 0 in flight  out, up, 0 in flight
web3  20260113090000  1b2c3d4   no       in, up, 3 in flight   draining, up, 1 in flight
web4  ?               -         no       in, down              in, down

! locked by bob@ci7 since 2026-01-14T09:30:00Z: deploy main as 20260114093000, last heartbeat 5 min 12 s ago, on web1 and web2. That run is dead: sluice resume production finishes it, sluice abort production goes back.
! web1 runs 20260114093000, newer than 20260113090000 of the others
! web2 was left out of rotation by a run: sluice deploy production goes on, sluice enable production web2 only puts it back
! web3: balancers disagree: lb1 web/web3 in, lb2 web/web3 draining
! web4 (10.0.0.4) could not be reached: connect ECONNREFUSED.
`);
});

test('what each pool gets while they share the traffic, by balancer where these differ', () => {
  const site = observation(
    nodeNames.map((name, i) => node(name, oldRelease, { pool: i < 2 ? 'blue' : 'green' })),
  );
  const [lb1, lb2] = site.balancers;
  const parts = { blue: 80, green: 20 };
  const said = (...balancers: readonly BalancerState[]): string =>
    status({ ...site, balancers }).split('\n')[1]!;
  expect(said({ ...lb1!, parts }, { ...lb2!, parts })).toBe(
    'Two pools share the traffic: blue 80 %, green 20 %.',
  );
  expect(said({ ...lb1!, parts }, { ...lb2!, pool: 'blue' })).toBe(
    'Balancers do not agree: traffic goes from lb1 to blue 80 % and green 20 % and lb2 to blue.',
  );
});

test('a weight that is not the configured one', () => {
  const observed = observation(
    [node('web1', oldRelease), node('web2', oldRelease)],
    [...serversOn('web1', { weight: 25 }), ...serversOn('web2', { weight: 100 / 3 })],
  );
  expect(status(observed)).toMatch(/^web1 .* in, up, weight 25 %, 3 in flight {2}/m);
  expect(status(observed)).toMatch(/^web2 .* in, up, weight 33.3 %, 3 in flight {2}/m);
});

describe('what stands out', () => {
  const remarks = (observed: Observation): readonly string[] =>
    status(observed)
      .split('\n')
      .filter((line) => line.startsWith('! '));

  test('a node that an operator holds out', () => {
    const others = ['web2', 'web3'].map((name) => node(name, oldRelease));
    const servers = [...serversOn('web1', { rotation: 'out' }), ...serversOn('web2'), ...serversOn('web3')];
    expect(remarks(observation([node('web1', oldRelease), ...others], servers))).toEqual([
      '! web1 was taken out of rotation by an operator, and no deploy puts it back: sluice enable production web1 does',
    ]);
  });

  test('a node of a run that lives is not called left behind', () => {
    const alive = { lock: { ...lock, silentMs: 2000 }, drained: ['lb1 web/web1', 'lb2 web/web1'] };
    const observed = observation([node('web1', oldRelease, alive)], serversOn('web1', { rotation: 'out' }));
    expect(remarks(observed)).toEqual([
      '! locked by bob@ci7 since 2026-01-14T09:30:00Z: deploy main as 20260114093000, last heartbeat 2.0 s ago, on web1.',
    ]);
  });

  test('a balancer that cannot be read', () => {
    const observed = observation();
    const [lb1, lb2] = observed.balancers;
    expect(
      remarks({
        ...observed,
        balancers: [lb1!, { ...lb2!, unreachable: 'Balancer lb2 (lb2) could not be reached: timeout.' }],
      }),
    ).toEqual(['! Balancer lb2 (lb2) could not be reached: timeout.']);
  });

  test('a site where nothing was deployed yet, once and not for each node', () => {
    expect(remarks(observation([node('web1', null), node('web2', null)], []))).toEqual([
      '! No node has a live release yet.',
      '! web1 is known to no balancer that could be read',
      '! web2 is known to no balancer that could be read',
    ]);
  });
});

test('the release of most nodes counts, and of as many the newer', () => {
  const of = (...releases: readonly (typeof oldRelease)[]) =>
    observation(releases.map((release, i) => node(`web${i + 1}`, release)));
  expect(mostLive(of(newRelease, oldRelease, oldRelease))).toBe(oldRelease.id);
  expect(mostLive(of(newRelease, oldRelease))).toBe(newRelease.id);
  expect(driftedNodes(of(newRelease, oldRelease))).toEqual(['web2']);
  expect(mostLive(observation([node('web1', null)]))).toBeNull();
});
