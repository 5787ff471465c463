import type { Event, EventBody, FailureText, NodeReport, Report } from '../../src/core/event.ts';
import type { Plan } from '../../src/core/plan.ts';
import type { Release } from '../../src/core/release.ts';
import { activate, check, drain, enable, prepare, type Step } from '../../src/core/step.ts';
import { newRelease, nodeNames, oldRelease, serversOn } from './example-site.ts';

/** A release to web1 and web2 of the example site, as events; each comes 100 ms after the one before. */
export const target = { release: newRelease, nodes: ['web1', 'web2'] };

const both = target.nodes;
export const steps: readonly Step[] = [
  { kind: 'build', nodes: both, release: newRelease },
  prepare(both, target),
  ...both.flatMap((node) => [drain([node]), activate([node], target), check([node], target), enable([node])]),
];

export const plan: Plan = {
  purpose: 'deploy',
  summary: 'Renew 1 node at a time, each out of rotation while it changes.',
  target,
  steps: steps.map((step) => ({ step, serving: ['drain', 'activate', 'check'].includes(step.kind) ? 3 : 4 })),
  servingMin: 3,
  servingBefore: 4,
  warnings: [],
};

export const nodeReport = (name: string, release: Release, more: Partial<NodeReport> = {}): NodeReport => ({
  name,
  release: release.id,
  revision: release.revision,
  servers: serversOn(name),
  serving: true,
  heldOut: false,
  outMs: null,
  ...more,
});

export const report = (more: Partial<Report> = {}): Report => ({
  outcome: 'done',
  exit: 0,
  failure: null,
  warnings: [],
  behind: [],
  tookMs: 12_400,
  nodes: [
    nodeReport('web1', newRelease, { outMs: 1900 }),
    nodeReport('web2', newRelease, { outMs: 2100 }),
    nodeReport('web3', oldRelease),
    nodeReport('web4', oldRelease),
  ],
  ...more,
});

export const checkFailure: FailureText = {
  code: 'CHECK_FAILED',
  message:
    'web1 failed its check: http://web1/up was expected to answer 200, after 5 attempts it answered 503.',
  hint: 'its log says why.',
};

const started: EventBody = {
  type: 'run-started',
  run: 'r1',
  command: 'deploy',
  site: 'shop',
  stage: 'production',
  operator: 'ada@laptop',
  nodes: both,
};

const total = steps.length;
const stepEvents = (index: number, during: readonly EventBody[] = [], tookMs = 400): readonly EventBody[] => [
  { type: 'step-started', step: steps[index]!, index, total },
  ...during,
  { type: 'step-done', step: steps[index]!, index, tookMs },
];

const done = (index: number, node: string, detail: string | null): EventBody => ({
  type: 'node-done',
  node,
  step: steps[index]!,
  detail,
});

const opening: readonly EventBody[] = [
  started,
  { type: 'planned', plan },
  { type: 'note', level: 'warning', text: 'No check expects {{release}}.' },
  { type: 'locked', nodes: [...nodeNames] },
  ...stepEvents(0, [{ type: 'line', from: 'build', text: 'vite v6 building' }]),
  ...stepEvents(1, [
    { type: 'bytes', node: 'web1', done: 4_000_000, total: 12_300_000 },
    { type: 'bytes', node: 'web2', done: 12_300_000, total: 12_300_000 },
    done(1, 'web2', '12.3 MB'),
    { type: 'bytes', node: 'web1', done: 12_300_000, total: 12_300_000 },
    done(1, 'web1', '12.3 MB'),
  ]),
  ...stepEvents(2, [done(2, 'web1', 'waited for 3 requests')]),
  ...stepEvents(3),
];

const timed = (bodies: readonly EventBody[]): readonly Event[] =>
  bodies.map((body, i) => ({ atMs: 1_768_383_000_000 + 100 * i, ...body }));

export const goodRun = timed([
  ...opening,
  ...[4, 5, 6, 7, 8, 9].flatMap((index) => stepEvents(index)),
  { type: 'run-ended', run: 'r1', report: report() },
]);

const recoveryPlan: Plan = {
  ...plan,
  summary: 'Bring every node back to the release that it had.',
  steps: [{ step: enable(['web1']), serving: 4 }],
};

export const failedRun = timed([
  ...opening,
  { type: 'step-started', step: steps[4]!, index: 4, total },
  { type: 'node-failed', node: 'web1', step: steps[4]!, failure: checkFailure },
  { type: 'step-failed', step: steps[4]!, index: 4, failure: checkFailure },
  { type: 'recovering', policy: 'rollback', plan: recoveryPlan },
  { type: 'step-started', step: enable(['web1']), index: 0, total: 1 },
  { type: 'step-done', step: enable(['web1']), index: 0, tookMs: 300 },
  {
    type: 'run-ended',
    run: 'r1',
    report: report({
      outcome: 'rolled back',
      exit: 1,
      failure: checkFailure,
      nodes: nodeNames.map((name) => nodeReport(name, oldRelease, name === 'web1' ? { outMs: 8200 } : {})),
    }),
  },
]);
