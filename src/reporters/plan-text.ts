import { count } from '../core/errors.ts';
import { liveRelease, nodeState, type Observation, releaseOn } from '../core/observation.ts';
import { lowestServing, type Plan } from '../core/plan.ts';
import type { NodeListing } from '../core/site.ts';
import { names } from './amount.ts';
import { listsText } from './lists-text.ts';
import type { Paint } from './paint.ts';
import { releaseText, shortRevision } from './release-text.ts';
import { stepObject } from './step-text.ts';
import { indent, table } from './table.ts';

/** A plan and all that helps to judge it. */
export interface PlanView {
  /** What the plan is for: `deploy of shop/production`. */
  readonly title: string;
  readonly plan: Plan;
  readonly observed: Observation;
  /** Null if the live revision is not known, or nothing is to be compared. */
  readonly comparison: {
    readonly commits: readonly {
      readonly revision: string;
      readonly author: string;
      readonly subject: string;
    }[];
    readonly behind: number;
  } | null;
  /** For each step, what it runs. */
  readonly commands: readonly (readonly string[])[];
  /** Where nodes come from that the config does not name; default: it names all. */
  readonly lists?: readonly NodeListing[];
  readonly paint: Paint;
}

/** Everything: each step with its commands, and how many nodes serve after it. */
export const planText = (view: PlanView): string =>
  paragraphs(
    heading(view),
    isEmpty(view) ? '' : steps(view),
    footing(view),
    changes(view),
    warnings([...downgrades(view), ...view.plan.warnings], view),
  );

/** What a person needs to say yes or no. The plan's warnings are notes, and were shown before. */
export const planSummary = (view: PlanView): string =>
  paragraphs(
    heading(view),
    isEmpty(view) ? '' : outline(view),
    changes(view),
    warnings(downgrades(view), view),
  );

const paragraphs = (...texts: readonly string[]): string =>
  `${texts.filter((text) => text !== '').join('\n\n')}\n`;

export const isEmpty = ({ plan }: PlanView): boolean => plan.steps.length === 0;

function heading({ title, plan, observed, lists = [], paint }: PlanView): string {
  const { release, nodes } = plan.target;
  if (plan.steps.length === 0) {
    if (plan.purpose === 'recovery') return `Nothing to take back: every node has the release that it had.`;
    return `Nothing to do: ${releaseText(release)} is live on ${names(nodes, namesMax)} already.`;
  }
  return [
    `${paint.strong(`Plan of the ${title}`)}: ${plan.summary}`,
    table([
      ...(plan.purpose === 'recovery'
        ? []
        : [['  new', `${releaseText(release)} on ${names(nodes, namesMax)}`]]),
      ...liveNow(observed, nodes).map((text) => ['  live', text]),
    ]),
    ...(lists.length === 0 ? [] : [`  ${listsText(lists)}`]),
  ].join('\n');
}

/** What the nodes run now, newest release first. */
function liveNow(observed: Observation, nodes: readonly string[]): readonly string[] {
  const states = nodes.map((name) => nodeState(observed, name));
  const ids = [...new Set(states.map(liveRelease))].sort((a, b) => ((a ?? '') < (b ?? '') ? 1 : -1));
  return ids.map((id) => {
    const on = states.filter((state) => liveRelease(state) === id);
    const text =
      id === null ? 'nothing' : releaseText({ id, revision: releaseOn(on[0]!, id)?.revision ?? null });
    return `${text} on ${names(
      on.map(({ name }) => name),
      namesMax,
    )}`;
  });
}

function steps(view: PlanView): string {
  const { plan, paint } = view;
  const digits = String(plan.steps.length).length;
  return plan.steps
    .map(({ step, serving }, index) => {
      const number = String(index + 1).padStart(digits);
      const after = paint.dim(
        `serving after: ${serving} of ${nodesOf(view)} (servingMin ${plan.servingMin})`,
      );
      return [
        `${number}. ${paint.strong(step.kind)} ${stepObject(step)}`,
        ...(view.commands[index] ?? []).map((command) => indent(command, digits + 4)),
        indent(after, digits + 2),
      ].join('\n');
    })
    .join('\n');
}

const nodesOf = ({ observed }: PlanView): number => Object.keys(observed.nodes).length;

const footing = (view: PlanView): string =>
  isEmpty(view) ? '' : `${count(view.plan.steps.length, 'step')}; ${floorText(view.plan, nodesOf(view))}.`;

/** `never fewer than 3 of 4 nodes serving (servingMin 3)` */
export const floorText = (plan: Plan, nodes: number): string =>
  `never fewer than ${lowestServing(plan)} of ${nodes} nodes serving (servingMin ${plan.servingMin})`;

/** The batches in the order in which they change. */
function outline(view: PlanView): string {
  const { steps: planned } = view.plan;
  const batches = planned.flatMap(({ step }) =>
    step.kind === 'activate' ? [names(step.nodes, namesMax)] : [],
  );
  const hooks = planned.flatMap(({ step }) => (step.kind === 'hook' ? [step.hook] : []));
  return table([
    ['  steps', `${planned.length}, ${floorText(view.plan, nodesOf(view))}`],
    ...batches
      .slice(0, batchesMax)
      .map((batch, i) => [`  ${i === 0 ? 'batches' : ''}`, `${i + 1}. ${batch}`]),
    ...(batches.length > batchesMax ? [['', `and ${batches.length - batchesMax} more`]] : []),
    ...(hooks.length > 0 ? [['  hooks', [...new Set(hooks)].join(', ')]] : []),
  ]);
}

function changes({ plan, comparison, paint }: PlanView): string {
  if (comparison === null || plan.steps.length === 0) return '';
  const { commits } = comparison;
  if (commits.length === 0) return 'No commit is new.';
  const shown = commits
    .slice(0, commitsMax)
    .map(({ revision, author, subject }) => [`  ${paint.warn(shortRevision(revision))}`, author, subject]);
  const more = commits.length > commitsMax ? `\n  and ${commits.length - commitsMax} more` : '';
  return `${count(commits.length, 'commit')} between live and new:\n${table(shown)}${more}`;
}

export function downgrades({ plan, comparison }: PlanView): readonly string[] {
  const behind = comparison?.behind ?? 0;
  if (behind === 0 || plan.steps.length === 0) return [];
  return [`This is a downgrade: the live release has ${count(behind, 'commit')} that the new one lacks.`];
}

const warnings = (texts: readonly string[], { paint }: PlanView): string =>
  texts.map((text) => `${paint.warn('warning:')} ${text}`).join('\n');

const namesMax = 8;
const batchesMax = 12;
const commitsMax = 15;
