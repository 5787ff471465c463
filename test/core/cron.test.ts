import { expect, test } from 'vitest';
import { cron, cronOwner, cronRemarks, withCron } from '../../src/core/cron.ts';
import type { Duty } from '../../src/core/hook.ts';
import type { NodeName } from '../../src/core/node.ts';
import { type CronState, noCron, type Observation } from '../../src/core/observation.ts';
import { predict } from '../../src/core/predict.ts';
import { brokenPromises } from '../../src/core/proof.ts';
import type { Release } from '../../src/core/release.ts';
import type { CronSettings } from '../../src/core/site.ts';
import { activate, drain, flip, hold, type Step } from '../../src/core/step.ts';
import { fleet, names, node, nodeState, pooledFleet, release, site as siteOf, withNode } from './fleet.ts';

const settings: CronSettings = {
  node: null,
  role: 'jobs',
  jobs: [{ schedule: '@daily', run: ['true'] }],
  file: null,
  keptIn: 'crontab',
  onRunning: 'wait',
  timeoutMs: 1000,
  hold: 'never',
  fence: null,
};
/** web1 to web3, of which web2 and web3 may have the cron. */
const site = (more: Partial<CronSettings> | null = {}) =>
  siteOf(3, {
    nodes: names(3).map((name) => node(name, { roles: name === 'web1' ? [] : ['jobs'] })),
    cron: more && { ...settings, ...more },
  });
const has = (since: string, more: Partial<CronState> = {}): CronState => ({
  ...noCron,
  block: 'as set',
  since,
  ...more,
});
const seen = (crons: Readonly<Record<NodeName, CronState>>, live: number | null = 1): Observation => {
  const observed = fleet(3, live);
  const nodes = Object.values(observed.nodes).map((state) => [
    state.name,
    { ...state, cron: crons[state.name] ?? noCron },
  ]);
  return { ...observed, nodes: Object.fromEntries(nodes) };
};
const without = (observed: Observation, name: NodeName): Observation => ({
  ...observed,
  nodes: { ...observed.nodes, [name]: nodeState(name, null, { unreachable: 'it is silent' }) },
});

test('the first node that may and can have it gets it, and keeps it', () => {
  expect(cronOwner(site(), seen({}))).toBe('web2');
  expect(cronOwner(site(), without(seen({}), 'web2'))).toBe('web3');
  expect(cronOwner(site(), seen({ web3: has('a') }))).toBe('web3');
  expect(cronOwner(site({ node: 'web1', role: null }), seen({ web3: has('a') }))).toBe('web1');
  expect(cronOwner(site(), seen({}, null))).toBeNull();
  expect(cronOwner(site(null), seen({ web3: has('a') }))).toBeNull();
});

test('of two that have it, the one that got it last is the right one', () => {
  expect(cronOwner(site(), seen({ web2: has('20260101'), web3: has('20260102') }))).toBe('web3');
});

const stepsOf = (observed: Observation, more: Partial<CronSettings> | null = {}, goesBack = false) =>
  withCron({ site: site(more), observed, steps: [drain(['web1'])], goesBack }).map((step) =>
    step.kind === 'cron' ? `${step.from.join()}>${step.to}` : step.kind,
  );

test('the cron moves after everything else, and what is too many goes before', () => {
  expect(stepsOf(seen({}))).toEqual(['drain', '>web2']);
  expect(stepsOf(seen({ web2: has('a') }))).toEqual(['drain']);
  expect(stepsOf(seen({ web1: has('a') }))).toEqual(['drain', 'web1>web2']);
  expect(stepsOf(seen({ web2: has('a', { block: 'other' }) }))).toEqual(['drain', '>web2']);
  expect(stepsOf(seen({ web1: has('b'), web2: has('a'), web3: has('c') }))).toEqual([
    'web1,web2>null',
    'drain',
  ]);
  expect(stepsOf(seen({ web2: has('a') }), null)).toEqual(['drain', 'web2>null']);
});

test('it is held while the run goes on, if that is set', () => {
  expect(stepsOf(seen({ web2: has('a') }), { hold: 'deploy' })).toEqual(['web2>null', 'drain', '>web2']);
  const idle = {
    site: site({ hold: 'deploy' }),
    observed: seen({ web2: has('a') }),
    steps: [],
    goesBack: false,
  };
  expect(withCron(idle)).toEqual([]);
});

test('it is held while the database is migrated, and back at once where it was', () => {
  const release = { id: '20260101000000', revision: 'a'.repeat(40) } as Release;
  const part = (duty: Duty): Step => ({
    kind: 'hook',
    nodes: ['web1'],
    hook: duty,
    point: 'after:prepare',
    once: true,
    onceAs: release.id,
    release,
    duty,
  });
  const steps = [part('backup'), part('expand'), drain(['web1']), part('contract')];
  const orderOf = (crons: Parameters<typeof seen>[0], more: Partial<CronSettings> = {}, goesBack = false) =>
    withCron({ site: site({ hold: 'migrations', ...more }), observed: seen(crons), steps, goesBack }).map(
      (step) =>
        step.kind === 'cron'
          ? `${step.from.join()}>${step.to}`
          : step.kind === 'hook'
            ? step.hook
            : step.kind,
    );
  const held = ['backup', 'web2>null', 'expand', '>web2', 'drain', 'web2>null', 'contract', '>web2'];
  expect(orderOf({ web2: has('a') })).toEqual(held);
  expect(orderOf({ web2: has('a', { block: 'other' }) })).toEqual(held);
  expect(orderOf({ web2: has('a') }, { node: 'web3', role: null })).toEqual([...held, 'web2>web3']);
  expect(orderOf({})).toEqual(['backup', 'expand', 'drain', 'contract', '>web2']);
  expect(orderOf({ web2: has('a') }, {}, true)).toEqual(['backup', 'expand', 'drain', 'contract']);
  expect(stepsOf(seen({ web2: has('a') }), { hold: 'migrations' })).toEqual(['drain']);
});

test('jobs of a file in the release are put anew whenever the release of their node changes', () => {
  const orderOf = (nodes: readonly NodeName[], goesBack = false) =>
    withCron({
      site: site({ jobs: [], file: 'config/crontab' }),
      observed: seen({ web2: has('a') }),
      steps: [activate(nodes, { release: release(2), nodes: names(3) })],
      goesBack,
    }).map((step) => (step.kind === 'cron' ? `${step.from.join()}>${step.to}` : step.kind));
  expect(orderOf(['web1', 'web2'])).toEqual(['activate', '>web2']);
  expect(orderOf(['web2'], true)).toEqual(['activate', '>web2']);
  expect(orderOf(['web1'])).toEqual(['activate']);
});

test('on the way back whoever has it keeps it, and what was held is put back', () => {
  expect(stepsOf(seen({ web1: has('a') }), {}, true)).toEqual(['drain']);
  expect(stepsOf(seen({}), { hold: 'deploy' }, true)).toEqual(['drain', '>web2']);
  expect(stepsOf(seen({ web1: { ...noCron, running: ['sleep'] } }), {}, true)).toEqual(['drain', '>web1']);
});

test('whoever has it keeps it while nobody can who should', () => {
  const dead = (crons: Readonly<Record<NodeName, CronState>>) => without(seen(crons), 'web3');
  const only = { node: 'web3', role: null };
  expect(stepsOf(dead({ web1: has('a') }), only)).toEqual(['drain']);
  expect(stepsOf(dead({ web1: has('a'), web2: has('b') }), only)).toEqual(['web1>null', 'drain']);
  expect(stepsOf(dead({ web1: has('a') }), { ...only, hold: 'deploy' })).toEqual([
    'web1>null',
    'drain',
    '>web1',
  ]);
});

test('nobody gets it while a node that may have it cannot be read', () => {
  expect(stepsOf(without(seen({}), 'web1'))).toEqual(['drain']);
});

const problems = (observed: Observation, step: Step) =>
  brokenPromises({ strategy: 'x', observed, servingMin: 0, steps: [step] });

test('a plan that would put it on a second node is refused', () => {
  expect(problems(seen({ web1: has('a') }), cron([], 'web2'))).toEqual([
    'step 1 (cron web2): web2 would run the cron of the site beside web1',
  ]);
  expect(problems(seen({ web1: has('a') }), cron(['web1'], 'web2'))).toEqual([]);
  expect(problems(without(seen({}), 'web1'), cron([], 'web2'))[0]).toMatch(/nobody knows whether web1 does/);
  expect(problems(without(seen({}), 'web1'), cron([], 'web2', ['web1']))).toEqual([]);
});

test('the step takes it off and puts it on', () => {
  const after = predict(seen({ web1: has('a', { running: ['x'] }) }), cron(['web1'], 'web2'));
  expect(Object.values(after.nodes).map((state) => state.cron.block)).toEqual(['none', 'as set', 'none']);
  expect(after.nodes.web1?.cron.running).toEqual([]);
});

test('what is not as it should be is said', () => {
  expect(cronRemarks(site(), seen({ web2: has('a') }))).toEqual([]);
  expect(cronRemarks(site(null), seen({}))).toEqual([]);
  expect(cronRemarks(site(), seen({}))[0]).toMatch(/No node .* has the cron/);
  expect(cronRemarks(site(), seen({}, null))).toEqual([]);
  expect(cronRemarks(site(), seen({ web2: has('a'), web1: has('b') }))[0]).toMatch(
    /^TWO CRONS: web1 and web2 .*web2 is to/,
  );
  expect(cronRemarks(site(), seen({ web1: has('b') }))[0]).toMatch(
    /web1 has the cron of the site, and web2 is to/,
  );
  expect(cronRemarks(site(), seen({ web2: has('b', { block: 'other' }) }))[0]).toMatch(
    /not what the settings say/,
  );
  expect(cronRemarks(site(null), seen({ web2: has('a') }))[0]).toMatch(/no longer have/);
});

/** web1 and web2 are blue, which gets the traffic; web3 and web4 are green. All but web3 may have the cron. */
const pools = siteOf(4, {
  nodes: names(4).map((name) => node(name, { roles: name === 'web3' ? [] : ['jobs'] })),
  cron: settings,
});
const ofPools = (holder: NodeName | null): Observation => {
  const observed = pooledFleet(2);
  return holder === null ? observed : withNode(observed, holder, { cron: has('a') });
};
const toGreen = flip(['web3', 'web4'], 'green');
const bake = hold(
  ['web3', 'web4'],
  { release: { id: '20260114093000', revision: 'a' }, nodes: [] } as never,
  {
    name: 'bake',
    forMs: 1000,
  },
);
const movesIn = (holder: NodeName | null, steps: readonly Step[], goesBack = false, site = pools) =>
  withCron({ site, observed: ofPools(holder), steps, goesBack }).map((step) =>
    step.kind === 'cron' ? `${step.from.join()}>${step.to}` : step.kind,
  );

test('of two pools, a node of the one that gets the traffic is to have the cron by its role', () => {
  expect(cronOwner(pools, ofPools(null))).toBe('web1');
  expect(cronOwner(pools, ofPools('web2'))).toBe('web2');
  expect(cronOwner(pools, ofPools('web4'))).toBe('web1');
  expect(cronRemarks(pools, ofPools('web4'))).toEqual([
    'web4 has the cron of the site, and its pool gets no traffic: the next deploy moves it to web1.',
  ]);
});

test('the cron goes with the traffic, as soon as that is flipped, there and back', () => {
  expect(movesIn('web2', [toGreen, bake])).toEqual(['flip', 'web2>web4', 'hold']);
  expect(movesIn('web4', [flip(['web1', 'web2'], 'blue')])).toEqual(['flip', 'web4>web1']);
  // The run that flipped died before it moved the cron.
  const baking: Step = { ...bake, flipped: {} as never };
  expect(movesIn('web4', [baking])).toEqual(['web4>web1', 'hold']);
  expect(movesIn('web2', [toGreen], true)).toEqual(['flip', 'web2>web4']);
  expect(movesIn('web2', [drain(['web3'])], true)).toEqual(['drain']);
});

test('a node that is named has the cron wherever the traffic goes, and so has the only one with the role', () => {
  const named = { ...pools, cron: { ...settings, node: 'web2', role: null } };
  expect(movesIn('web2', [toGreen], false, named)).toEqual(['flip']);
  const alone = { ...pools, cron: { ...settings, role: 'alone' } };
  const nodes = pools.nodes.map((one) => (one.name === 'web1' ? { ...one, roles: ['alone'] } : one));
  expect(movesIn('web1', [toGreen], false, { ...alone, nodes })).toEqual(['flip']);
  expect(cronRemarks({ ...alone, nodes }, ofPools('web1'))).toEqual([]);
});

test('while balancers send traffic to different pools whoever has the cron keeps it', () => {
  const observed = ofPools('web4');
  const balancers = [...observed.balancers, { ...observed.balancers[0]!, member: 'lb-b', pool: 'green' }];
  expect(cronOwner(pools, { ...observed, balancers })).toBe('web4');
});
