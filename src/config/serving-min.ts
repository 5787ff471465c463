import { type Field, scalar } from '../core/field.ts';

/** A count of nodes, or a part of all of them. */
export type ServingMin = number | `${number}%`;

export const servingMin: Field<ServingMin> = scalar(
  "a count of nodes such as 2, or a part such as '50%'",
  {
    anyOf: [
      { type: 'integer', minimum: 0 },
      { type: 'string', pattern: '^(100|\\d{1,2})(\\.\\d+)?%$' },
    ],
  },
  (value): ServingMin | undefined => {
    if (typeof value === 'number') return Number.isInteger(value) && value >= 0 ? value : undefined;
    const [, percent] = /^(\d+(?:\.\d+)?)%$/.exec(typeof value === 'string' ? value : '') ?? [];
    return Number(percent) <= 100 ? `${Number(percent)}%` : undefined;
  },
);

/** The count that `setting` means for so many nodes; a part is rounded up, in favour of capacity. */
export const servingMinOf = (setting: ServingMin, nodes: number): number =>
  typeof setting === 'number' ? setting : Math.ceil((Number.parseFloat(setting) * nodes) / 100);
