import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { messageOf } from '../core/errors.ts';
import { mapOf, objectOf, optional, text } from '../core/field.ts';
import { toldFields } from './balancer-admin.ts';
import type { PoolServer } from './balancer-pool.ts';

/** Writes rotation and weight of each server, and the pool that gets the requests. In one go: changes that come together must not overtake each other. */
export function saveState(file: string, servers: readonly PoolServer[], pool: string | undefined): void {
  const told = servers.map(({ name, rotation, weight }) => [name, { rotation, weight }]);
  const state = { servers: Object.fromEntries(told), pool };
  writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`);
  renameSync(`${file}.new`, file);
}

/** Gives the servers what was written of them; the pool that got the requests, or null. Nothing if there is no such file; throws if it cannot be read. */
export function loadState(file: string, servers: readonly PoolServer[]): string | null {
  const state = stateField.parse(read(file), file);
  if (!state.ok) throw new Error(state.problems.join('\n'));
  for (const server of servers) {
    const { rotation, weight } = state.value.servers?.[server.name] ?? { rotation: null, weight: null };
    server.rotation = rotation ?? server.rotation;
    server.weight = weight ?? server.weight;
  }
  return state.value.pool;
}

const stateField = objectOf({
  servers: optional(mapOf(objectOf(toldFields), 'the name of a server')),
  pool: optional(text),
});

function read(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw new Error(`${file} cannot be read: ${messageOf(error)}`, { cause: error });
  }
}
