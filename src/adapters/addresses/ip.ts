import { isIP } from 'node:net';
import { describe, type Field, scalar } from '../../core/field.ts';

/** What floats. */
export const ipField: Field<string> = describe(
  'The IP address.',
  scalar('an IPv4 or IPv6 address', { type: 'string', pattern: '^[0-9A-Fa-f.:]+$' }, (value) =>
    typeof value === 'string' && isIP(value) !== 0 ? value : undefined,
  ),
);
