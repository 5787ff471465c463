import { Secret } from '../core/secret.ts';

/** An environment as a process that is begun now gets it. */
export const revealed = (env: Readonly<Record<string, string | Secret>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(env).map(([name, value]) => [name, value instanceof Secret ? value.reveal() : value]),
  );
