import { expect, test } from 'vitest';
import { paintWith } from '../../src/reporters/paint.ts';
import { type PlanView, planSummary, planText } from '../../src/reporters/plan-text.ts';
import { plan, steps } from './example-run.ts';
import { newRelease, observation, oldRelease } from './example-site.ts';

const view: PlanView = {
  title: 'deploy of production',
  plan: { ...plan, warnings: ['The site has no checks.'] },
  observed: observation(),
  comparison: {
    commits: [
      { revision: newRelease.revision, author: 'Ada', subject: 'Fix the cart' },
      { revision: oldRelease.revision, author: 'Grace Hopper', subject: 'Faster search' },
    ],
    behind: 0,
  },
  commands: steps.map((step) => step.nodes.map((node) => `${node}: do ${step.kind}`)),
  paint: paintWith(false),
};

test('the whole plan has each step with what it runs and who serves after it', () => {
  const lines = planText(view).split('\n');
  expect(lines.slice(0, 15).join('\n')).toBe(`\
Plan of the deploy of production: Renew 1 node at a time, each out of rotation while it changes.
  new   20260114093000 (3f2a9c1) on web1, web2
  live  20260113090000 (1b2c3d4) on web1, web2

 1. build 20260114093000 (3f2a9c1)
      web1: do build
      web2: do build
    serving after: 4 of 4 (servingMin 3)
 2. prepare 20260114093000 (3f2a9c1) on web1, web2
      web1: do prepare
      web2: do prepare
    serving after: 4 of 4 (servingMin 3)
 3. drain web1
      web1: do drain
    serving after: 3 of 4 (servingMin 3)`);
  expect(lines.slice(-9).join('\n')).toBe(`
10 steps; never fewer than 3 of 4 nodes serving (servingMin 3).

2 commits between live and new:
  3f2a9c1  Ada           Fix the cart
  1b2c3d4  Grace Hopper  Faster search

warning: The site has no checks.
`);
});

test('the summary has the batches and the commits', () => {
  expect(planSummary(view)).toBe(`\
Plan of the deploy of production: Renew 1 node at a time, each out of rotation while it changes.
  new   20260114093000 (3f2a9c1) on web1, web2
  live  20260113090000 (1b2c3d4) on web1, web2

  steps    10, never fewer than 3 of 4 nodes serving (servingMin 3)
  batches  1. web1
           2. web2

2 commits between live and new:
  3f2a9c1  Ada           Fix the cart
  1b2c3d4  Grace Hopper  Faster search
`);
});

test('a downgrade is said before anybody is asked', () => {
  const downgrade = { ...view, comparison: { commits: [], behind: 2 } };
  const warning = 'warning: This is a downgrade: the live release has 2 commits that the new one lacks.\n';
  expect(planSummary(downgrade)).toContain(`No commit is new.\n\n${warning}`);
  expect(planText(downgrade)).toContain(warning.trim());
});

test('a plan without steps is one sentence', () => {
  const done = { ...view, plan: { ...plan, steps: [] } };
  expect(planText(done)).toBe('Nothing to do: 20260114093000 (3f2a9c1) is live on web1, web2 already.\n');
});
