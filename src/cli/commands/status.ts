import { cronRemarks } from '../../core/cron.ts';
import { type Drift, isAlike } from '../../core/drift.ts';
import { failure } from '../../core/errors.ts';
import { liveParts, livePool, type Observation, releaseOn, servingNodes } from '../../core/observation.ts';
import type { Revision } from '../../core/release.ts';
import { driftText } from '../../reporters/drift-text.ts';
import { driftedNodes, mostLive, statusText } from '../../reporters/status-text.ts';
import { type Call, type Command, onSite, paintOf, siteOf, type Work } from '../call.ts';
import { watching } from '../watch.ts';

/**
 * What is so, read now; with `--watch` again and again, until Ctrl-C or until nobody reads it any more. With `--drift` also what
 * nodes have beside the site: 1 if they are not alike.
 */
export const statusCommand: Command = async (call) => {
  if (call.flags.drift && call.flags.watch)
    throw failure('USAGE', { problem: '--drift reads much of each node, and is not for --watch' });
  return onSite(call, await siteOf(call), (work) =>
    call.flags.drift ? compare(call, work) : watch(call, work),
  );
};

async function compare(call: Call, { site, ports, engine, wanted }: Work): Promise<0 | 1> {
  const { environment } = call;
  const { signal } = environment;
  const observed = await engine.observe(site, ports, signal);
  const drift = await engine.findDrift(site, ports, { image: mostLiveRevision(observed), signal });
  environment.stdout.write(textOf(call, { site, wanted }, observed, drift));
  return isAlike(drift) ? 0 : 1;
}

function mostLiveRevision(observed: Observation): Revision | null {
  const live = mostLive(observed);
  const revisions = Object.values(observed.nodes).map((node) => live && releaseOn(node, live)?.revision);
  return revisions.find((revision) => revision) ?? null;
}

const watch = (call: Call, { site, ports, engine, wanted }: Work): Promise<0> =>
  watching(call, ports, async () => {
    const observed = await engine.observe(site, ports, call.environment.signal);
    return textOf(call, { site, wanted }, observed, null);
  });

function textOf(
  { environment, flags }: Call,
  { site, wanted }: Pick<Work, 'site' | 'wanted'>,
  observed: Observation,
  drift: Drift | null,
): string {
  if (flags.json) return `${JSON.stringify({ ...statusData(site, observed), ...(drift && { drift }) })}\n`;
  const paint = paintOf(environment, environment.stdout);
  const text = statusText({
    wanted,
    servingMin: site.servingMin,
    observed,
    apart: site.nodes.flatMap(({ name, traffic }) => (traffic ? [] : [name])),
    remarks: cronRemarks(site, observed),
    lists: site.lists,
    paint,
  });
  return drift === null ? text : `${text}\n${driftText(drift, paint)}`;
}

const statusData = ({ name, stage, servingMin, lists }: Work['site'], observed: Observation) => ({
  site: name,
  stage,
  servingMin,
  lists,
  pool: livePool(observed),
  parts: liveParts(observed),
  serving: servingNodes(observed),
  release: mostLive(observed),
  drifted: driftedNodes(observed),
  ...observed,
});
