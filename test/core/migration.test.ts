import { describe, expect, test } from 'vitest';
import { dutyHooks, type Migration } from '../../src/core/migration.ts';
import type { NodeState, Observation } from '../../src/core/observation.ts';
import { makePlan, type Plan, type PlanInput } from '../../src/core/plan.ts';
import { deployTarget } from '../../src/core/target.ts';
import { strategies } from '../../strategies/index.ts';
import { fleet, good, names, node, release, releaseId, site, withNode } from './fleet.ts';

const hooksOf = (more: Partial<Migration> = {}) => {
  const common = { role: null, timeoutMs: 1000 };
  return dutyHooks(
    { expand: 'expand', contract: 'contract', irreversible: null, ...common, ...more },
    { command: 'dump', ...common },
  );
};

const plan = (
  observed: Observation,
  {
    nodes = names(2),
    hooks = hooksOf(),
    ...more
  }: Partial<PlanInput> & { nodes?: readonly string[]; hooks?: ReturnType<typeof hooksOf> } = {},
): Plan =>
  makePlan({
    site: site(2, { hooks, nodes: [node('web1', { roles: ['web'] }), node('web2', { roles: ['db'] })] }),
    strategy: strategies.rolling.create({ batch: [1], hold: null }),
    purpose: 'deploy',
    observed,
    target: { release: release(2), nodes },
    ...more,
  });

const shape = ({ steps }: Plan): readonly string[] =>
  steps
    .map(({ step }) =>
      step.kind === 'hook' ? step.hook : step.kind === 'maintenance' ? `maintenance ${step.to}` : step.kind,
    )
    .filter((text) => !['drain', 'check', 'enable', 'build'].includes(text));

const all = (change: Partial<NodeState>, live = 1): Observation =>
  names(2).reduce((state, name) => withNode(state, name, change), fleet(2, live));

const done = (...hooks: readonly string[]): NodeState['once'] =>
  hooks.map((hook) => ({ release: releaseId(2), hook, state: 'done' }));

test('backup and expand stand before the first node changes, contract after the last', () => {
  expect(shape(plan(fleet(2)))).toEqual(['prepare', 'backup', 'expand', 'activate', 'activate', 'contract']);
});

test('with maintenance mode visitors are turned away before the backup, until all is done', () => {
  expect(shape(plan(fleet(2), { maintenance: true }))).toEqual([
    'prepare',
    'maintenance on',
    'backup',
    'expand',
    'activate',
    'activate',
    'contract',
    'maintenance off',
  ]);
});

test('maintenance mode that a run left on ends with the next one, and one of an operator never', () => {
  expect(shape(plan(all({ maintenance: { by: 'run', since: '', text: '' } }))).at(-1)).toBe(
    'maintenance off',
  );
  const theirs = plan(all({ maintenance: { by: 'operator', since: '', text: '' } }), { maintenance: true });
  expect(shape(theirs).join()).not.toContain('maintenance');
  expect(theirs.warnings).toContain('An operator set maintenance mode on web1 and web2: it stays on.');
});

describe('the schema is contracted', () => {
  test('not while a node of the site keeps another release, and the plan says so', () => {
    const part = plan(fleet(2), { nodes: ['web1'] });
    expect(shape(part)).toEqual(['prepare', 'backup', 'expand', 'activate']);
    expect(part.warnings.join()).toContain('The schema is not contracted: web2 will not have');
  });

  test('later, where that is all that is left', () => {
    expect(shape(plan(all({ once: done('expand') }, 2)))).toEqual(['contract']);
    expect(shape(plan(all({ once: done('expand', 'contract') }, 2)))).toEqual([]);
    expect(shape(plan(all({ once: [] }, 2)))).toEqual([]);
  });

  test('for a release that waited in a pool, once no node has an older one, and not before', () => {
    const before = all({ releases: [good(1)], once: done('expand') });
    const kept = withNode(before, 'web1', {
      current: { kind: 'release', id: releaseId(2) },
      releases: [good(2)],
    });
    const target = { release: release(3), nodes: ['web2'] };
    const made = plan(kept, { target });
    expect(shape(made)).toEqual(['prepare', 'backup', 'expand', 'activate', 'contract']);
    const last = made.steps.at(-1)?.step;
    expect(last).toMatchObject({ nodes: ['web1'], release: release(2), onceAs: releaseId(2) });
    expect(shape(plan(before, { target }))).toEqual(['prepare', 'backup', 'expand', 'activate']);
    const contracted = withNode(kept, 'web2', { once: done('expand', 'contract') });
    expect(shape(plan(contracted, { target }))).toEqual(['prepare', 'backup', 'expand', 'activate']);
  });

  test('never on the way back', () => {
    const observed = all({ releases: [good(1), good(2)], once: done('expand') });
    expect(shape(plan(observed, { purpose: 'rollback' }))).toEqual(['activate', 'activate']);
  });
});

test('a plan is refused that would bring a release live without its migration, for want of a node of the role', () => {
  expect(() => plan(fleet(2), { nodes: ['web1'], hooks: hooksOf({ role: 'db' }) })).toThrow(
    /before the schema is expanded, which needs a node of its role/,
  );
});

test.each([
  [true, 'The migration closes the way back before the first node changes'],
  ['grep -q drop migrations', 'The migration may close the way back before'],
  [null, 'Contracting the schema closes the way back'],
  [false, null],
])('a migration whose irreversible is %j is warned of as it should be', (irreversible, text) => {
  const warnings = plan(fleet(2), { hooks: hooksOf({ irreversible }) }).warnings.join();
  if (text === null) expect(warnings).not.toContain('way back');
  else expect(warnings).toContain(text);
});

test('a migration of the same revision that was cut off is run again by a new deploy, and never unsaid', () => {
  const revision = release(3).revision;
  const cut = withNode(fleet(2), 'web1', {
    releases: [good(1), { ...good(2), revision }],
    once: [{ release: releaseId(2), hook: 'expand', state: 'begun' }],
  });
  const made = plan(cut, { target: { release: release(3), nodes: names(2) } });
  expect(shape(made)).toContain('expand');
  expect(made.warnings.join()).toContain(`was cut off on web1, as release ${releaseId(2)}`);
});

test('a deploy brings no node back behind an irreversible migration with a release that another still has', () => {
  const both = all({ releases: [good(1), good(2)], irreversible: [releaseId(2)] });
  const held = withNode(both, 'web1', { current: { kind: 'release', id: releaseId(2) } });
  const { revision } = release(1);
  const idOf = (observed: Observation) => deployTarget(observed, names(2), revision, 0).release.id;
  expect(idOf(held) > releaseId(2)).toBe(true);
  expect(idOf(withNode(held, 'web1', { irreversible: [] }))).toBe(idOf(held));
  expect(idOf(both)).toBe(releaseId(1));
});
