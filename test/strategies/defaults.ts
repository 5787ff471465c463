import { type Fields, parseFields } from '../../src/core/field.ts';

/** The options of a strategy that a config says nothing of. */
export function parsedDefaults<T>(fields: Fields<T>): T {
  const result = parseFields(fields, {});
  if (!result.ok) throw new Error(result.problems.join(', '));
  return result.value;
}
