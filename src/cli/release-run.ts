import { count, type ExitStatus, failure } from '../core/errors.ts';
import type { Event, Report, RunCommand } from '../core/event.ts';
import type { Site } from '../core/site.ts';
import type { NodeLists, Proposal, RunRequest } from '../engine/deploy.ts';
import { planSummary } from '../reporters/plan-text.ts';
import type { Reporter } from '../reporters/reporter.ts';
import { asking, confirmed, mustBeConfirmable } from './ask.ts';
import { type Call, onSite, paintOf, siteOf, type Work, wantedOf } from './call.ts';
import { askWhatToDo, mayAsk } from './decide.ts';
import { requestOf } from './request.ts';
import { reporterOf } from './screen.ts';

/** What the commands share that change releases: a reporter, a question, and the exit status of the report. */
export async function releaseRun(
  call: Call,
  command: RunCommand,
  run: (request: RunRequest, work: Work) => Promise<Report>,
): Promise<ExitStatus> {
  mustBeConfirmable(call, command);
  const site = await siteOf(call);
  const wanted = wantedOf(call, site);
  const reporter = await reporterOf(call, wanted);
  const title = `${command} of ${wanted}`;
  const request = await requestOf(call, site, {
    confirm: (proposal) => confirmPlan(call, { title, reporter, proposal, lists: site.lists }),
    decide: mayAsk(call) ? (trouble) => askWhatToDo(call, { reporter, trouble }) : null,
  });
  const draw = (event: Event): void => reporter.draw(event);
  const lists = site.lists.length === 0 ? {} : { lists: listsOf(call, draw) };
  const stopListening = sayWhatASignalDoes(call, reporter);
  try {
    const report = await onSite(call, site, (work) => run({ ...request, ...lists }, work), draw);
    return report.exit;
  } finally {
    stopListening();
    reporter.clear();
  }
}

/** What the config says, read again: its lists may have other nodes by then. */
const listsOf = (call: Call, emit: (event: Event) => void): NodeLists => ({
  read: () => siteOf(call),
  open: (site) => call.environment.createPorts(site, emit),
});

/** At once, for the step under way may take a while to end. */
export function sayWhatASignalDoes({ environment }: Call, reporter: Reporter): () => void {
  const { signal, stderr } = environment;
  const listener = (): void => {
    reporter.clear();
    stderr.write(
      `\n${signal.reason}: the step under way ends first. Once more stops at once, and leaves the site as it is then.\n`,
    );
  };
  signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

interface Question {
  readonly title: string;
  readonly reporter: Reporter;
  readonly proposal: Proposal;
  readonly lists: Site['lists'];
}

async function confirmPlan(call: Call, { title, reporter, proposal, lists }: Question): Promise<boolean> {
  const { environment, flags } = call;
  const output = flags.json ? environment.stderr : environment.stdout;
  reporter.clear();
  const summary = planSummary({ title, ...proposal, lists, paint: paintOf(environment, output) });
  output.write(`\n${reporter.inert?.(summary) ?? summary}\n`);
  const question = `Carry out ${count(proposal.plan.steps.length, 'step')}?`;
  const agreed = await asking(environment, (ask) => confirmed(call, question, ask));
  // A question that Ctrl-C ended was not answered with no.
  if (environment.signal.aborted) throw failure('INTERRUPTED', { signal: String(environment.signal.reason) });
  return agreed;
}
