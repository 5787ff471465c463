import type { Report } from '../core/event.ts';
import type { Ports } from '../ports.ts';
import { abort, resume } from './deploy.ts';
import type { RunRequest } from './propose.ts';
import { onceFree } from './wait-for-lock.ts';

/**
 * Finishes what a run of the whole stage left that died, or takes it back. Null if there is none. One that lives is
 * waited for as the request says, for it may die meanwhile; one that is held is for a person to promote or abort.
 */
export async function takeOver(
  { by, ...request }: RunRequest & { readonly by: 'resume' | 'abort' },
  ports: Ports,
): Promise<Report | null> {
  const holder = await onceFree(request, ports);
  if (holder?.life !== 'dead') return null;
  return { resume, abort }[by]({ ...request, nodes: null, force: false }, ports);
}
