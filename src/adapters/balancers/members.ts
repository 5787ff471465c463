import { type DeployError, failure, isDeployError, list } from '../../core/errors.ts';
import type { BalancerState, ServerState } from '../../core/observation.ts';
import type { BalancerView } from '../../ports.ts';

/** What one of the processes of a balancer showed. */
export interface MemberView<T> {
  readonly state: BalancerState;
  readonly servers: readonly (T & ServerId)[];
}

export type ServerId = Pick<ServerState, 'balancer' | 'member' | 'node' | 'server'>;

/** What all members showed. */
export const together = (views: readonly BalancerView[]): BalancerView => ({
  members: views.flatMap(({ members }) => members),
  servers: views.flatMap(({ servers }) => servers),
});

export const viewsOf = <T>(views: readonly MemberView<T>[]) => ({
  members: views.map(({ state }) => state),
  servers: views.flatMap(({ servers }) => servers),
});

/** Why a member cannot be read; any other failure is thrown. */
export function reasonUnreachable(error: unknown): string {
  if (isDeployError(error, 'BALANCER_UNREACHABLE')) return String(error.details.reason);
  throw error;
}

/** Why a member could not be read, be it that it refused to be. */
export function unreadable(error: unknown): string {
  if (isDeployError(error, 'BALANCER_REFUSED')) return `it answered ${error.details.answer}`;
  return reasonUnreachable(error);
}

/**
 * All results, once all have ended; or a failure. One that will last goes before members that could not be reached:
 * the next observation names those.
 */
export async function settled<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
  const results = await Promise.allSettled(work);
  const errors = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  const unreachable = errors.filter((error) => isDeployError(error, 'BALANCER_UNREACHABLE'));
  if (unreachable.length < errors.length)
    throw errors.find((error) => !unreachable.includes(error as DeployError));
  if (unreachable.length > 0) throw oneOf(unreachable);
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
}

function oneOf(errors: readonly DeployError[]): DeployError {
  const each = (detail: string) => errors.map(({ details }) => String(details[detail]));
  const [balancer = ''] = each('balancer');
  return failure(
    'BALANCER_UNREACHABLE',
    { balancer, address: list(each('address')), reason: each('reason').join('; ') },
    errors[0],
  );
}
