import { expect, test } from 'vitest';
import { code, codeBlock } from '../../src/reporters/markdown.ts';
import { paintWith } from '../../src/reporters/paint.ts';
import { planMarkdown } from '../../src/reporters/plan-markdown.ts';
import type { PlanView } from '../../src/reporters/plan-text.ts';
import { plan, steps } from './example-run.ts';
import { newRelease, observation } from './example-site.ts';

const view: PlanView = {
  title: 'deploy of production',
  plan: { ...plan, warnings: ['The site has no checks.'] },
  observed: observation(),
  comparison: {
    commits: [{ revision: newRelease.revision, author: 'Ada', subject: 'Fix the cart' }],
    behind: 1,
  },
  commands: steps.map(() => []),
  paint: paintWith(true),
};

test('says what is new and what to look out for; the whole plan is folded in', () => {
  const text = planMarkdown(view);
  expect(text.split('\n\n<details><summary>Every step')[0]).toBe(`\
### Plan of the \`deploy of production\`

- \`20260114093000 (3f2a9c1)\` on 2 nodes
- 10 steps, never fewer than 3 of 4 nodes serving (servingMin 3)

- **warning:** \`This is a downgrade: the live release has 1 commit that the new one lacks.\`
- **warning:** \`The site has no checks.\`

<details><summary>1 commit between live and new</summary>

- \`3f2a9c1\` \`Ada\` \`Fix the cart\`

</details>`);
  expect(text).toContain('\n```text\nPlan of the deploy of production: Renew 1 node');
  expect(text.endsWith('\n```\n\n</details>\n')).toBe(true);
});

test('nothing to do is one line', () => {
  expect(planMarkdown({ ...view, comparison: null, plan: { ...plan, steps: [] } })).toBe(`\
### Plan of the \`deploy of production\`

Nothing to do: \`20260114093000 (3f2a9c1)\` is live already.
`);
});

const nasty = [
  '</summary><script>alert(1)</script>',
  '` <img src=x onerror=alert(1)> `',
  '``` \n\n# heading\n```` </details>',
  '[link](javascript:alert(1)) @everyone #1 !2',
  'a\r\n\r\n<b>\u2028\u202e',
];

/** What CommonMark leaves outside of code: first blocks, then spans. */
function outsideCode(text: string): string {
  const lines = text.split('\n');
  const open: string[] = [];
  const prose = lines.filter((line) => {
    const fence = /^(`{3,})(.*)$/.exec(line);
    if (open.length === 0 && fence && !fence[2]!.includes('`')) return open.push(fence[1]!) < 0;
    if (open.length > 0 && fence && fence[2]!.trim() === '' && fence[1]!.length >= open[0]!.length) {
      open.pop();
      return false;
    }
    return open.length === 0;
  });
  return prose.join('\n').replace(/(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)/g, 'CODE');
}

test.each(nasty)('%j takes no effect as a title, a commit or a node', (text) => {
  const commits = [{ revision: text, author: text, subject: text }];
  const drawn = planMarkdown({
    ...view,
    title: text,
    comparison: { commits, behind: 0 },
    plan: {
      ...view.plan,
      warnings: [text],
      summary: text,
      target: { ...plan.target, release: { ...newRelease } },
    },
    commands: steps.map(() => [text]),
  });
  expect(outsideCode(drawn)).toBe(`\
### Plan of the CODE

- CODE on 2 nodes
- 10 steps, never fewer than 3 of 4 nodes serving (servingMin 3)

- **warning:** CODE

<details><summary>1 commit between live and new</summary>

- CODE CODE CODE

</details>

<details><summary>Every step</summary>


</details>
`);
});

test('code keeps backticks apart from its fence', () => {
  expect(code('a `b` ``c``')).toBe('``` a `b` ``c`` ```');
  expect(code('')).toBe('`  `');
  expect(codeBlock('a\n````\nb\u0000')).toBe('`````text\na\n````\nb\n`````');
});
