import { describe, type Field, objectOf, optional, parsed, port, scalar } from '../../core/field.ts';
import type { Host } from '../../ports.ts';

/** A host name or an address. No leading `-`: ssh would read it as an option. */
const address: Field<string> = scalar(
  'a host name or address',
  { type: 'string', pattern: '^[A-Za-z0-9_:][A-Za-z0-9_.:-]*$' },
  (value) => (typeof value === 'string' && /^[\w:][\w.:-]*$/.test(value) ? value : undefined),
);

const user: Field<string> = scalar(
  'a user name',
  { type: 'string', pattern: '^[A-Za-z0-9_][A-Za-z0-9_.-]*$' },
  (value) => (typeof value === 'string' && /^\w[\w.-]*$/.test(value) ? value : undefined),
);

const login = objectOf({
  address: describe('Its host name or address.', address),
  user: describe('The user to log in as.', optional(user, 'as for nodes')),
  port: describe('The port of its SSH server.', optional(port, 'as for nodes')),
});

/** The machine of a balancer: where it is, or how to log in there. */
export const sshHost: Field<Host> = {
  expected: 'a host name or address, or an object with address, user and port',
  summary: '',
  schema: { anyOf: [address.schema, login.schema] },
  ...(login.inside ? { inside: login.inside } : {}),
  parse(value, path) {
    const found = login.parse(typeof value === 'string' ? { address: value } : value, path);
    return found.ok ? parsed({ name: found.value.address, ...found.value }) : found;
  },
};
