import { type Field, scalar } from '../core/field.ts';

/** A count of nodes, or a part of all of them. */
export type NodeCount = number | `${number}%`;

export const nodeCount: Field<NodeCount> = scalar(
  "a count of nodes such as 2, or a part such as '50%'",
  {
    anyOf: [
      { type: 'integer', minimum: 0 },
      { type: 'string', pattern: '^(100|\\d{1,2})(\\.\\d+)?%$' },
    ],
  },
  (value): NodeCount | undefined => {
    if (typeof value === 'number') return Number.isInteger(value) && value >= 0 ? value : undefined;
    const [, percent] = /^(\d+(?:\.\d+)?)%$/.exec(typeof value === 'string' ? value : '') ?? [];
    return Number(percent) <= 100 ? `${Number(percent)}%` : undefined;
  },
);

/** The count that `setting` means for so many nodes; a part is rounded up where more is safer, else down. */
export const countOf = (setting: NodeCount, nodes: number, rounded: 'up' | 'down'): number =>
  typeof setting === 'number'
    ? setting
    : Math[rounded === 'up' ? 'ceil' : 'floor']((Number.parseFloat(setting) * nodes) / 100);
