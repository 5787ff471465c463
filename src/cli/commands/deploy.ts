import { failure } from '../../core/errors.ts';
import { oneOf } from '../../core/field.ts';
import type { Release } from '../../core/release.ts';
import type { Site } from '../../core/site.ts';
import type { Proposal } from '../../engine/deploy.ts';
import type { Call, Command } from '../call.ts';
import { callOf, readPlanFile, refOf, refuseOtherPlan, refuseOtherSite } from '../plan-file.ts';
import { releaseRun } from '../release-run.ts';
import { showPlan } from './plan.ts';

export const deployCommand: Command = (typed) => {
  const { call, wishFor } = askedBy(typed);
  return call.flags.dryRun ? onPaper(call, wishFor) : forReal(call, wishFor);
};

/** What is to be deployed, and whether that is still so once it is planned. */
interface Wish {
  readonly ref: string;
  readonly planned?: Release;
  /** Throws if the plan is not the one that was approved. */
  compare(proposal: Proposal): void;
}

interface Asked {
  readonly call: Call;
  readonly wishFor: (site: Site) => Wish;
}

function askedBy(call: Call): Asked {
  const { plan: name } = call.flags;
  if (name === undefined) return { call, wishFor: (site) => ({ ref: refOf(call, site), compare: () => {} }) };
  const file = readPlanFile(call, name);
  const wishFor = (site: Site): Wish => {
    refuseOtherSite(file, site, name);
    const planned = file.plan.target.release;
    return { ref: file.ref, planned, compare: (proposal) => refuseOtherPlan(file, proposal, name) };
  };
  return { call: callOf(call, file), wishFor };
}

const onPaper = (call: Call, wishFor: Asked['wishFor']): ReturnType<Command> =>
  showPlan(call, 'deploy', async (request, { site, ports, engine }) => {
    const { compare, ...wish } = wishFor(site);
    const proposal = await engine.propose({ ...request, ...wish }, ports);
    // What is done already needs no approval.
    if (proposal.plan.steps.length > 0) compare(proposal);
    return proposal;
  });

function forReal(call: Call, wishFor: Asked['wishFor']): ReturnType<Command> {
  const by = takeOverOf(call);
  return releaseRun(call, 'deploy', async (request, { site, ports, engine }) => {
    const { compare, ...wish } = wishFor(site);
    const earlier = by === null ? null : await engine.takeOver({ ...request, by }, ports);
    if (earlier && earlier.exit !== 0) return earlier;
    const confirm = (proposal: Proposal): Promise<boolean> => {
      compare(proposal);
      return request.confirm(proposal);
    };
    return engine.deploy({ ...request, ...wish, confirm }, ports);
  });
}

/** What becomes of a run that died: it is finished, or taken back; null: that is left to a person. */
function takeOverOf({ flags: { takeOver } }: Call): 'resume' | 'abort' | null {
  if (takeOver === undefined) return null;
  const by = oneOf(['resume', 'abort'] as const).parse(takeOver, '--take-over');
  if (!by.ok) throw failure('USAGE', { problem: by.problems.join('\n') });
  return by.value;
}
