import { cronHolders, cronOwner, cronRemarks } from '../../core/cron.ts';
import type { NodeName } from '../../core/node.ts';
import { cronText } from '../../reporters/cron-text.ts';
import { type Call, type Command, json, onSite, paintOf, siteOf, type Work, wantedOf } from '../call.ts';
import { reporterOf } from '../screen.ts';

/** Who runs the jobs of the site, read now; with `--to` after it was moved. Nothing is asked: who names a node means it. */
export const cronCommand: Command = async (call) => {
  const site = await siteOf(call);
  const { to } = call.flags;
  if (to === undefined) return onSite(call, site, (work) => show(call, work));
  const reporter = await reporterOf(call, wantedOf(call, site));
  try {
    return await onSite(
      call,
      site,
      (work) => move(call, work, to),
      (event) => reporter.draw(event),
    );
  } finally {
    reporter.clear();
  }
};

async function move(call: Call, work: Work, to: NodeName): Promise<0> {
  const { signal, stdout } = call.environment;
  await work.engine.moveCron(work.site, work.ports, { to, fenced: call.flags.fenced ?? false, signal });
  if (!call.flags.json) stdout.write(`${to} has the cron of ${work.wanted}.\n`);
  return 0;
}

async function show(call: Call, { site, ports, engine, wanted }: Work): Promise<0> {
  const { environment, flags } = call;
  const { stdout, signal } = environment;
  const observed = await engine.observe(site, ports, signal);
  const remarks = cronRemarks(site, observed);
  if (flags.json) {
    const nodes = Object.values(observed.nodes).map(({ name, unreachable, cron }) => ({
      name,
      unreachable,
      ...cron,
    }));
    stdout.write(json({ holders: cronHolders(observed), owner: cronOwner(site, observed), remarks, nodes }));
  } else {
    stdout.write(cronText({ wanted, observed, remarks }, paintOf(environment, stdout)));
  }
  return 0;
}
