import { count } from '../core/errors.ts';
import { code, codeBlock } from './markdown.ts';
import { paintWith } from './paint.ts';
import { downgrades, floorText, isEmpty, type PlanView, planText } from './plan-text.ts';
import { releaseText, shortRevision } from './release-text.ts';

/**
 * The plan as a comment of a merge request: what is new, and what people are warned of; the whole is folded in. Whatever
 * others may have written (names, branches, subjects of commits) stands in code, where nothing is markup.
 */
export function planMarkdown(view: PlanView): string {
  const { title, plan, observed } = view;
  const plain = { ...view, paint: paintWith(false) };
  const { release, nodes } = plan.target;
  const floor = floorText(plan, Object.keys(observed.nodes).length);
  const what = isEmpty(view)
    ? [`Nothing to do: ${code(releaseText(release))} is live already.`]
    : [
        `- ${code(releaseText(release))} on ${count(nodes.length, 'node')}`,
        `- ${count(plan.steps.length, 'step')}, ${floor}`,
      ];
  return `${[
    `### Plan of the ${code(title)}`,
    what.join('\n'),
    warnings([...downgrades(view), ...plan.warnings]),
    commits(view),
    isEmpty(view) ? '' : folded('Every step', codeBlock(planText(plain))),
  ]
    .filter((text) => text !== '')
    .join('\n\n')}\n`;
}

const warnings = (texts: readonly string[]): string =>
  texts.map((text) => `- **warning:** ${code(text)}`).join('\n');

function commits({ comparison }: PlanView): string {
  if (comparison === null || comparison.commits.length === 0) return '';
  const shown = comparison.commits.slice(0, commitsMax);
  const left = comparison.commits.length - shown.length;
  return folded(
    `${count(comparison.commits.length, 'commit')} between live and new`,
    [
      ...shown.map(
        ({ revision, author, subject }) =>
          `- ${code(shortRevision(revision))} ${code(author)} ${code(subject)}`,
      ),
      ...(left > 0 ? [`- and ${left} more`] : []),
    ].join('\n'),
  );
}

/** GitHub and GitLab read Markdown inside only after an empty line. */
const folded = (summary: string, text: string): string =>
  `<details><summary>${summary}</summary>\n\n${text}\n\n</details>`;

const commitsMax = 50;
