import { failure } from '../../core/errors.ts';
import { isReleaseId, type ReleaseId } from '../../core/release.ts';
import type { Call, Command } from '../call.ts';
import { releaseRun } from '../release-run.ts';
import { showPlan } from './plan.ts';

export const rollbackCommand: Command = async (call) => {
  const to = releaseOf(call);
  const { acrossIrreversible = false } = call.flags;
  if (call.flags.dryRun) {
    return showPlan(call, 'rollback', (request, { ports, engine }) =>
      engine.proposeRollback({ ...request, to, acrossIrreversible }, ports),
    );
  }
  return releaseRun(call, 'rollback', (request, { ports, engine }) =>
    engine.rollback({ ...request, to, acrossIrreversible }, ports),
  );
};

export function releaseOf({ flags: { to } }: Call): ReleaseId | null {
  if (to === undefined) return null;
  if (isReleaseId(to)) return to;
  throw failure('USAGE', {
    problem: `--to: expected a release such as 20260114093000, got ${JSON.stringify(to)}.`,
  });
}
