import type { Report } from '../core/event.ts';
import type { ReleaseId, Revision } from '../core/release.ts';
import { deployTarget, namedNodes, rollbackTarget } from '../core/target.ts';
import type { Ports } from '../ports.ts';
import { perform } from './perform.ts';
import { type Intent, type Proposal, proposeFrom, type RunRequest } from './propose.ts';

/** Brings `ref` live. Never rejects for a failure: the report says how it ended, events said how it went. */
export const deploy = (request: RunRequest & { readonly ref: string }, ports: Ports): Promise<Report> =>
  perform({ ...request, ...deploying(request, ports) }, ports);

/** Brings an earlier release live again: `to`, or the newest good one before the live one. */
export const rollback = (
  request: RunRequest & { readonly to: ReleaseId | null },
  ports: Ports,
): Promise<Report> => perform({ ...request, ...rollingBack(request) }, ports);

/** The plan of a deploy, without touching anything. Rejects if the site is not ready or the plan is not safe. */
export const propose = (request: RunRequest & { readonly ref: string }, ports: Ports): Promise<Proposal> =>
  proposeFrom({ ...request, ...deploying(request, ports) }, ports);

export const proposeRollback = (
  request: RunRequest & { readonly to: ReleaseId | null },
  ports: Ports,
): Promise<Proposal> => proposeFrom({ ...request, ...rollingBack(request) }, ports);

function deploying(
  { site, nodes, ref, signal }: RunRequest & { readonly ref: string },
  ports: Ports,
): Intent {
  return {
    purpose: 'deploy',
    wanted: ref,
    resolve: () => ports.source.resolve(ref, signal),
    // The revision is what this intent's own `resolve` gave.
    targetOf: (observed, revision) =>
      deployTarget(observed, namedNodes(site.nodes, nodes), revision as Revision, ports.clock.nowMs()),
    logLine: ({ release }, operator) =>
      `Branch ${ref} (at ${release.revision}) deployed as release ${release.id} by ${operator}`,
  };
}

const rollingBack = ({ site, nodes, to }: RunRequest & { readonly to: ReleaseId | null }): Intent => ({
  purpose: 'rollback',
  wanted: to ?? 'the release before',
  resolve: () => Promise.resolve(null),
  targetOf: (observed) => rollbackTarget(observed, namedNodes(site.nodes, nodes), to),
  logLine: ({ release }, operator) => `${operator} rolled back to release ${release.id}`,
});

export type { Proposal, RunRequest } from './propose.ts';
