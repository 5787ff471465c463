import { describe, expect, test } from 'vitest';
import { parseFields } from '../../src/core/field.ts';
import type { Observation } from '../../src/core/observation.ts';
import { makePlan } from '../../src/core/plan.ts';
import { predict } from '../../src/core/predict.ts';
import { holdMark, type StepOf } from '../../src/core/step.ts';
import type { Target } from '../../src/core/target.ts';
import { strategies } from '../../strategies/index.ts';
import { fleet, good, names, release, releaseId, site, withNode, withServer } from '../core/fleet.ts';

const { canary } = strategies;

function optionsFrom(written: Record<string, unknown>): Record<string, unknown> {
  const result = parseFields(canary.options, written, 'strategy');
  if (!result.ok) throw new Error(result.problems.join('\n'));
  return result.value;
}

const planOf = (written: Record<string, unknown>, observed: Observation, more: Partial<Target> = {}) => {
  const nodes = Object.keys(observed.nodes);
  return makePlan({
    site: site(nodes.length, { servingMin: 0 }),
    strategy: canary.create(optionsFrom(written)),
    purpose: 'deploy',
    observed,
    target: { release: release(2), nodes, ...more },
  }).steps.map(({ step }) => step);
};

const told = (...given: Parameters<typeof planOf>): readonly string[] =>
  planOf(...given).flatMap((step) => {
    if (step.kind === 'hold') return [`hold ${step.name}: ${step.nodes.join(',')} for ${step.forMs}`];
    if (step.kind === 'shift') return [`shift ${step.nodes.join(',')} to ${step.to}`];
    return step.kind === 'activate' ? [`activate ${step.nodes.join(',')}`] : [];
  });

const judgedIn = (...given: Parameters<typeof planOf>) =>
  planOf(...given)
    .filter((step): step is StepOf<'hold'> => step.kind === 'hold')
    .flatMap(({ judged }) => judged ?? []);

const steps = [
  { nodes: 1, weight: 10, bake: '10m' },
  { weight: 50, bake: '5m', hold: true },
  { nodes: '50%', bake: '1m' },
];

describe('a new release', () => {
  test('goes through each step, is judged in each, and then comes to the other nodes in batches', () => {
    expect(told({ steps, batch: 2 }, fleet(8))).toEqual([
      'shift web1 to 10',
      'activate web1',
      'hold canary 1: web1 for 600000',
      'shift web1 to 50',
      'hold canary 2: web1 for 300000',
      'hold canary 2 approval: web1 for null',
      'activate web2,web3',
      'activate web4',
      'shift web1 to 100',
      'hold canary 3: web1,web2,web3,web4 for 60000',
      'activate web5,web6',
      'activate web7,web8',
    ]);
  });

  test('is compared with the nodes that have another one, and each look has its part of the false alarms', () => {
    const judged = judgedIn({ steps, falseAlarms: '3%' }, fleet(4));
    expect(judged.map(({ others }) => others)).toEqual([
      ['web2', 'web3', 'web4'],
      ['web2', 'web3', 'web4'],
      ['web3', 'web4'],
    ]);
    for (const { release: judgedRelease, options } of judged) {
      expect(judgedRelease).toBe(releaseId(2));
      expect(options.falseAlarms).toBeCloseTo(0.01, 10);
    }
  });

  test('is tried on a node that serves, not on one that an operator holds out', () => {
    const held = withServer(fleet(3), 'web1', { rotation: 'out' });
    expect(told({ steps: [{ nodes: 1, bake: '1m' }] }, held)).toEqual([
      'activate web2',
      'hold canary 1: web2 for 60000',
      'activate web3',
      'activate web1',
    ]);
  });
});

describe('a run that goes on', () => {
  const begun = withServer(
    withNode(fleet(4), 'web1', {
      current: { kind: 'release', id: releaseId(2) },
      releases: [good(1), good(2)],
      proved: releaseId(2),
    }),
    'web1',
    { weight: 10 },
  );

  test('begins the step anew in which it was cut off', () => {
    expect(told({ steps }, begun, { onceAs: releaseId(2) })[0]).toBe('hold canary 1: web1 for 600000');
  });

  test('leaves out the steps that it has gone through', () => {
    const mark = { release: releaseId(2), hook: holdMark('canary 1'), state: 'done' } as const;
    const further = withNode(begun, 'web3', { once: [mark] });
    expect(told({ steps }, further, { onceAs: releaseId(2) }).slice(0, 2)).toEqual([
      'shift web1 to 50',
      'hold canary 2: web1 for 300000',
    ]);
  });

  test('is judged although every node has the release by now', () => {
    const one = { steps: [{ nodes: 1, bake: '1m' }] };
    const done = planOf(one, fleet(1)).reduce(predict, fleet(1));
    expect(told(one, done, { onceAs: releaseId(2) })).toEqual(['hold canary 1: web1 for 60000']);
    expect(told(one, done)).toEqual([]);
  });
});

test('going back to a release that was good on every node is no experiment', () => {
  const observed = names(3).reduce(
    (state, name) =>
      withNode(state, name, {
        current: { kind: 'release', id: releaseId(3) },
        releases: [good(2), good(3)],
        proved: releaseId(3),
      }),
    fleet(3),
  );
  expect(told({ steps }, observed)).toEqual(['activate web1', 'activate web2', 'activate web3']);
});

test.each([
  [{ steps: [] }, 'strategy.steps: expected at least 1 entry, got an empty list'],
  [{ steps: [{ nodes: 1 }] }, "strategy.steps[0].bake: expected a duration of at least '1ms', got nothing"],
  [
    { steps: [{ weight: 0, bake: '1m' }] },
    'strategy.steps[0].weight: expected a whole number from 1 to 100, got 0',
  ],
  [
    { steps: [{ nodes: '0%', bake: '1m' }] },
    'strategy.steps[0].nodes: expected a count of nodes such as 2 or a part such as \'30%\', got "0%"',
  ],
  [
    {
      steps: [
        { nodes: 3, bake: '1m' },
        { weight: 50, bake: '1m' },
        { nodes: 2, bake: '1m' },
      ],
    },
    'strategy.steps: expected a list of steps such as',
  ],
  [{ requestMin: 5 }, 'strategy.requestMin: unknown setting; did you mean requestsMin?'],
])('%j is refused with a sentence', (written, problem) => {
  expect(() => optionsFrom(written)).toThrow(problem);
});
