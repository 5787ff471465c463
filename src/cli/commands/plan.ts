import { type ExitStatus, failure, messageOf } from '../../core/errors.ts';
import type { Proposal, RunRequest } from '../../engine/deploy.ts';
import { planMarkdown } from '../../reporters/plan-markdown.ts';
import { type PlanView, planText } from '../../reporters/plan-text.ts';
import { type Call, type Command, json, onSite, paintOf, siteOf, type Work } from '../call.ts';
import type { Files } from '../environment.ts';
import { planFileText, refOf } from '../plan-file.ts';
import { requestOf } from '../request.ts';

/** Everything that a deploy would do. Changes nothing anywhere. */
export const planCommand: Command = (call) =>
  showPlan(call, 'deploy', (request, { site, ports, engine }) =>
    engine.propose({ ...request, ref: refOf(call, site) }, ports),
  );

export async function showPlan(
  call: Call,
  command: 'deploy' | 'rollback' | 'flip',
  propose: (request: RunRequest, work: Work) => Promise<Proposal>,
): Promise<ExitStatus> {
  const { environment, flags } = call;
  const { stdout, files } = environment;
  const draw = drawerOf(call);
  const site = await siteOf(call);
  const request = await requestOf(call, site, { confirm: async () => false, decide: null });
  return onSite(call, site, async (work) => {
    const proposal = await propose(request, work);
    if (flags.out !== undefined) write(files, flags.out, planFileText(call, site, proposal));
    const title = `${command} of ${work.wanted}`;
    stdout.write(draw({ title, ...proposal, lists: site.lists, paint: paintOf(environment, stdout) }));
    return 0;
  });
}

/** Throws `USAGE` for a format that there is not. */
function drawerOf({ flags }: Call): (view: PlanView) => string {
  const wanted = flags.json ? 'json' : (flags.format ?? 'text');
  if (Object.hasOwn(drawers, wanted)) return drawers[wanted as keyof typeof drawers];
  throw failure('USAGE', {
    problem: `--format: expected text or markdown, got ${JSON.stringify(wanted)}`,
  });
}

const drawers = {
  text: planText,
  markdown: planMarkdown,
  json: ({ plan, comparison, commands, lists }: PlanView) => json({ plan, comparison, commands, lists }),
};

function write(files: Files, file: string, text: string): void {
  try {
    files.write(file, text);
  } catch (error) {
    throw failure('SPOOL_FAILED', { file, reason: messageOf(error) }, error);
  }
}
