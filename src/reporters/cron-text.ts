import { cronHolders } from '../core/cron.ts';
import type { NodeState, Observation } from '../core/observation.ts';
import type { Paint } from './paint.ts';
import { remarksText } from './remarks-text.ts';
import { table } from './table.ts';

/** Which node may begin jobs, and what runs. */
export const cronText = (
  input: { readonly wanted: string; readonly observed: Observation; readonly remarks: readonly string[] },
  paint: Paint,
): string => {
  const { wanted, observed, remarks } = input;
  const holders = cronHolders(observed).toSorted();
  const header = ['node', 'cron', 'running'].map(paint.dim);
  const rows = Object.values(observed.nodes).map((node) => [node.name, stateText(node), jobsText(node)]);
  return [
    paint.strong(`${wanted}: cron on ${holders.join(', ') || 'no node'}`),
    '',
    table([header, ...rows]),
    '',
    ...remarksText(remarks, paint),
    '',
  ].join('\n');
};

const stateText = ({ unreachable, cron }: NodeState): string =>
  unreachable === null ? states[cron.block] : '?';

const states = { none: '-', 'as set': 'yes', other: 'yes, and not as it is set' } as const;

const jobsText = ({ cron: { running } }: NodeState): string => running.join('; ') || '-';
