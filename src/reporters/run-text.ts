import { count } from '../core/errors.ts';
import type { FleetIntent } from '../core/fleet-log.ts';
import { lowestServing, type Plan } from '../core/plan.ts';
import { bytes } from './amount.ts';
import type { StepProgress } from './progress.ts';

/** `planned 14 steps, never fewer than 3 nodes serving (servingMin 3)` */
export const plannedText = (plan: Plan): string =>
  plan.steps.length === 0
    ? 'planned: nothing is to be done'
    : `planned ${count(plan.steps.length, 'step')}, never fewer than ${count(lowestServing(plan), 'node')} serving (servingMin ${plan.servingMin})`;

/** `took group shop-web, for the deploy from ami-… to ami-…` */
export const takenText = (fleet: string, { command, from, to }: FleetIntent): string =>
  `took ${fleet}, for the ${command} from ${from.image} to ${to.image}`;

/** The upload of all nodes together: `16.3 MB of 24.6 MB sent`. */
export const sentText = (step: StepProgress | null): string =>
  step?.sent ? `${bytes(step.sent.done)} of ${bytes(step.sent.total)} sent` : '';

export const interruptedText = (signal: string): string =>
  `interrupted by ${signal}: a node that is out of rotation comes back first`;

export const recoveringText = (policy: string, plan: Plan): string => {
  const why = policy === 'interrupted' ? 'coming to a safe end' : `on failure: ${policy}`;
  return `${why}, ${count(plan.steps.length, 'step')}: ${plan.summary}`;
};
