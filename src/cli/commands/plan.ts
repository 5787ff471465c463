import type { ExitStatus } from '../../core/errors.ts';
import type { Proposal, RunRequest } from '../../engine/deploy.ts';
import { planText } from '../../reporters/plan-text.ts';
import { type Call, type Command, json, onSite, paintOf, siteOf, type Work } from '../call.ts';
import { requestOf } from '../request.ts';

/** Everything that a deploy would do. Changes nothing anywhere. */
export const planCommand: Command = (call) =>
  showPlan(call, 'deploy', (request, { site, ports, engine }) =>
    engine.propose({ ...request, ref: call.flags.ref ?? site.source.ref }, ports),
  );

export async function showPlan(
  call: Call,
  command: 'deploy' | 'rollback' | 'flip',
  propose: (request: RunRequest, work: Work) => Promise<Proposal>,
): Promise<ExitStatus> {
  const { environment, flags } = call;
  const { stdout } = environment;
  const site = await siteOf(call);
  const request = await requestOf(call, site, { confirm: async () => false, decide: null });
  return onSite(call, site, async (work) => {
    const proposal = await propose(request, work);
    const { plan, comparison, commands } = proposal;
    stdout.write(
      flags.json
        ? json({ plan, comparison, commands })
        : planText({
            title: `${command} of ${work.wanted}`,
            ...proposal,
            paint: paintOf(environment, stdout),
          }),
    );
    return 0;
  });
}
