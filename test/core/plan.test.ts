import { describe, expect, test } from 'vitest';
import type { HookSpec } from '../../src/core/hook.ts';
import type { Observation } from '../../src/core/observation.ts';
import { lowestServing, makePlan, type Plan, type Purpose } from '../../src/core/plan.ts';
import type { Site } from '../../src/core/site.ts';
import { drain } from '../../src/core/step.ts';
import type { Strategy } from '../../src/core/strategy.ts';
import { strategies } from '../../strategies/index.ts';
import { parsedDefaults } from '../strategies/defaults.ts';
import {
  fleet,
  good,
  names,
  node,
  pooledFleet,
  release,
  releaseId,
  site,
  withNode,
  withServer,
} from './fleet.ts';

const rolling = (batch: readonly (number | `${number}%`)[] = [1]): Strategy =>
  strategies.rolling.create({ batch, hold: null });

const plan = (
  observed: Observation,
  more: { readonly site?: Partial<Site>; readonly strategy?: Strategy; readonly purpose?: Purpose } = {},
): Plan => {
  const count = Object.keys(observed.nodes).length;
  return makePlan({
    site: site(count, more.site),
    strategy: more.strategy ?? rolling(),
    purpose: more.purpose ?? 'deploy',
    observed,
    target: { release: release(2), nodes: names(count) },
  });
};

const shape = ({ steps }: Plan): readonly string[] =>
  steps.map(({ step }) => `${step.kind} ${step.nodes.join(',')}`);

test('a rolling plan builds once, prepares all, and renews one node after the other', () => {
  expect(shape(plan(fleet(2)))).toEqual([
    'build web1,web2',
    'prepare web1,web2',
    'drain web1',
    'activate web1',
    'check web1',
    'enable web1',
    'drain web2',
    'activate web2',
    'check web2',
    'enable web2',
  ]);
});

test('the plan says how many nodes serve after each step', () => {
  const made = plan(fleet(3));
  expect(made.steps.slice(0, 6).map(({ serving }) => serving)).toEqual([3, 3, 2, 2, 2, 3]);
  expect(lowestServing(made)).toBe(2);
});

test('nothing to do is an empty plan', () => {
  expect(plan(fleet(3, 2)).steps).toEqual([]);
});

test('a release that a node has, whole, is neither built nor sent again', () => {
  const observed = names(2).reduce(
    (state, name) => withNode(state, name, { releases: [good(1), good(2)] }),
    fleet(2),
  );
  expect(shape(plan(observed))[0]).toBe('drain web1');
});

test('a node that an operator took out gets the release and stays out (S41)', () => {
  const made = plan(withServer(fleet(3), 'web2', { rotation: 'out' }), { site: { servingMin: 1 } });
  expect(shape(made)).toContain('activate web2');
  expect(shape(made)).not.toContain('enable web2');
  expect(made.warnings).toContain(
    'web2 was taken out of rotation by an operator: it gets the release, and stays out.',
  );
});

test('a node that serves nothing is renewed first, and the good one never leaves while it is alone (S43)', () => {
  const made = plan(withServer(fleet(2), 'web2', { health: 'down' }));
  expect(shape(made).filter((line) => line.startsWith('drain'))).toEqual(['drain web2', 'drain web1']);
  expect(lowestServing(made)).toBe(1);
});

test('without a balancer nobody is drained or enabled, and the plan says what that means', () => {
  const made = plan({ ...fleet(2), balancers: [], servers: [] }, { site: { balancers: [] } });
  expect(shape(made)).toEqual([
    'build web1,web2',
    'prepare web1,web2',
    'activate web1',
    'check web1',
    'activate web2',
    'check web2',
  ]);
  expect(made.warnings[0]).toContain('no balancer');
});

test('all at once is refused where a floor must hold', () => {
  expect(() => plan(fleet(4), { strategy: strategies['all-at-once'].create({}) })).toThrow(/servingMin is 2/);
});

test("a user's strategy that is not safe is refused, with its name", () => {
  const careless: Strategy = {
    name: 'careless',
    summary: '',
    *steps() {
      yield drain(['web1', 'web2']);
    },
  };
  expect(() => plan(fleet(2), { strategy: careless })).toThrow(/The plan of strategy careless is not safe/);
});

test('a strategy that names a node of nowhere is refused', () => {
  const lost: Strategy = {
    name: 'lost',
    summary: '',
    *steps() {
      yield drain(['web9']);
    },
  };
  expect(() => plan(fleet(2), { strategy: lost })).toThrow(/there is no node web9/);
});

test('ten nodes and [1, 30%, 100%] are renewed in batches of 1, 3 and 6 (S54)', () => {
  const made = plan(fleet(10), { strategy: rolling([1, '30%', '100%']), site: { servingMin: 4 } });
  const drained = made.steps.filter(({ step }) => step.kind === 'drain').map(({ step }) => step.nodes.length);
  expect(drained).toEqual([1, 3, 6]);
});

describe('cleanup', () => {
  const kept = (
    more: Partial<Site>,
    releases: readonly ReturnType<typeof good>[],
    live: number,
  ): readonly string[] => {
    const observed = withNode(fleet(1), 'web1', {
      releases,
      current: { kind: 'release', id: releaseId(live) },
    });
    const made = makePlan({
      site: site(1, { servingMin: 0, ...more }),
      strategy: rolling(),
      purpose: 'deploy',
      observed,
      target: { release: release(20), nodes: names(1) },
    });
    const removed = made.steps.flatMap(({ step }) =>
      step.kind === 'cleanup' ? (step.remove.web1 ?? []) : [],
    );
    return releases.map(({ id }) => id).filter((id) => !removed.includes(id));
  };

  test('keeps good releases only, however many failed since (S10)', () => {
    const failed = [4, 5, 6, 7, 8, 9].map((n) => ({ ...good(n), checked: false, failed: true }));
    expect(kept({ keepReleases: 3 }, [good(1), good(2), good(3), ...failed], 3)).toEqual([
      releaseId(2),
      releaseId(3),
    ]);
  });

  test('never deletes the live release, were it the oldest (S11)', () => {
    expect(kept({ keepReleases: 2 }, [1, 2, 3, 4, 5, 6].map(good), 1)).toEqual([releaseId(1)]);
  });

  test('removes half-made releases', () => {
    const half = { ...good(5), complete: false, checked: false };
    expect(kept({ keepReleases: 5 }, [good(1), good(6), half], 6)).toEqual([
      releaseId(1),
      releaseId(6),
      releaseId(5),
    ]);
    expect(kept({ keepReleases: 2 }, [{ ...half, id: releaseId(2) }, good(6)], 6)).toEqual([releaseId(6)]);
  });
});

describe('hooks', () => {
  const hook = (
    name: string,
    point: HookSpec['point'],
    more: Partial<Extract<HookSpec['action'], { kind: 'nodes' }>> = {},
  ): HookSpec => ({
    name,
    point,
    action: { kind: 'nodes', command: ['true'], role: null, once: false, timeoutMs: 1000, ...more },
  });

  test('stand before and after the steps of their phase', () => {
    const made = plan(fleet(2), {
      site: { hooks: [hook('warm', 'after:activate'), hook('begin', 'before:deploy')] },
    });
    expect(shape(made).slice(0, 6)).toEqual([
      'hook web1,web2',
      'build web1,web2',
      'prepare web1,web2',
      'drain web1',
      'activate web1',
      'hook web1',
    ]);
  });

  test('that run once stand once in the whole plan, on one node of their role', () => {
    const nodes = names(3).map((name) => node(name, { roles: name === 'web1' ? [] : ['db'] }));
    const made = plan(fleet(3), {
      site: { nodes, hooks: [hook('migrate', 'before:activate', { once: true, role: 'db' })] },
    });
    expect(shape(made).filter((line) => line.startsWith('hook'))).toEqual(['hook web2']);
  });

  test('of a deploy do not stand around a rollback', () => {
    const observed = withNode(fleet(1), 'web1', { releases: [good(1), good(2)] });
    const made = plan(observed, {
      purpose: 'rollback',
      site: { servingMin: 0, hooks: [hook('d', 'before:deploy'), hook('r', 'after:rollback')] },
    });
    expect(made.steps.flatMap(({ step }) => (step.kind === 'hook' ? [step.hook] : []))).toEqual(['r']);
  });
});

describe('work that runs once, after a run that died', () => {
  const migrate: HookSpec = {
    name: 'migrate',
    point: 'after:prepare',
    action: { kind: 'nodes', command: ['true'], role: null, once: true, timeoutMs: 1000 },
  };
  const prepared = (marks: Observation['nodes'][string]['once']): Observation =>
    withNode(
      names(2).reduce((state, name) => withNode(state, name, { releases: [good(1), good(2)] }), fleet(2)),
      'web2',
      { once: marks },
    );
  const hooksOf = (observed: Observation, purpose: Purpose = 'deploy'): readonly string[] =>
    shape(plan(observed, { purpose, site: { hooks: [migrate] } })).filter((line) => line.startsWith('hook'));

  test('is made up for if it was not begun', () => {
    expect(hooksOf(prepared([]))).toEqual(['hook web1']);
  });

  test('is not done again if it is done, on whichever node that was', () => {
    expect(hooksOf(prepared([{ release: releaseId(2), hook: 'migrate', state: 'done' }]))).toEqual([]);
  });

  test('of another release does not count', () => {
    expect(hooksOf(prepared([{ release: releaseId(1), hook: 'migrate', state: 'done' }]))).toEqual([
      'hook web1',
    ]);
  });

  test('that was cut off stands where it began, to say so', () => {
    expect(hooksOf(prepared([{ release: releaseId(2), hook: 'migrate', state: 'begun' }]))).toEqual([
      'hook web2',
    ]);
  });

  test('is never part of a rollback or of the way back', () => {
    expect(hooksOf(prepared([]), 'rollback')).toEqual([]);
    expect(hooksOf(prepared([]), 'recovery')).toEqual([]);
  });
});

test('a plan is the same after JSON', () => {
  const made = plan(fleet(3));
  expect(JSON.parse(JSON.stringify(made))).toEqual(made);
});

describe('with assets and two pools', () => {
  const strategy = strategies['blue-green'].create({
    ...parsedDefaults(strategies['blue-green'].options),
    bake: 0,
  });
  const pooled = (observed: Observation, assets: readonly string[]): readonly string[] =>
    shape(
      makePlan({
        site: site(4, { assets, servingMin: 1 }),
        strategy,
        purpose: 'deploy',
        observed,
        target: { release: release(2), nodes: ['web3', 'web4'] },
      }),
    ).slice(0, 3);

  test('the pool that serves gets the release too, to lend its assets, before any node changes', () => {
    expect(pooled(pooledFleet(2), ['build'])).toEqual([
      'build web3,web4',
      'prepare web1,web2',
      'prepare web3,web4',
    ]);
    expect(pooled(pooledFleet(2), [])).toEqual([
      'build web3,web4',
      'prepare web3,web4',
      'activate web3,web4',
    ]);
  });

  test('whoever goes on for a run that died sends it the very bytes that the others have', () => {
    const whole = ['web3', 'web4'].reduce(
      (now, name) => withNode(now, name, { releases: [good(1), good(2)] }),
      pooledFleet(2),
    );
    expect(pooled(whole, ['build'])).toEqual(['fetch web3,web4', 'prepare web1,web2', 'activate web3,web4']);
  });
});
