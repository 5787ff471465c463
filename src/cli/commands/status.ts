import { cronRemarks } from '../../core/cron.ts';
import { type Drift, isAlike } from '../../core/drift.ts';
import { failure } from '../../core/errors.ts';
import { liveParts, livePool, type Observation, releaseOn, servingNodes } from '../../core/observation.ts';
import type { Revision } from '../../core/release.ts';
import { driftText } from '../../reporters/drift-text.ts';
import { driftedNodes, mostLive, statusText } from '../../reporters/status-text.ts';
import { type Call, type Command, onSite, paintOf, siteOf, type Work } from '../call.ts';

/**
 * What is so, read now; with `--watch` again and again, until Ctrl-C or until nobody reads it any more. With `--drift` also what
 * nodes have beside the site: 1 if they are not alike.
 */
export const statusCommand: Command = async (call) => {
  const { signal } = call.environment;
  if (call.flags.drift && call.flags.watch)
    throw failure('USAGE', { problem: '--drift reads much of each node, and is not for --watch' });
  try {
    return await onSite(call, await siteOf(call), (work) =>
      call.flags.drift ? compare(call, work) : watch(call, work),
    );
  } catch (error) {
    if (call.flags.watch && signal.aborted) return 0;
    throw error;
  }
};

async function compare(call: Call, { site, ports, engine, wanted }: Work): Promise<0 | 1> {
  const { signal } = call.environment;
  const observed = await engine.observe(site, ports, signal);
  const drift = await engine.findDrift(site, ports, { image: mostLiveRevision(observed), signal });
  show(call, { site, wanted }, observed, drift);
  return isAlike(drift) ? 0 : 1;
}

function mostLiveRevision(observed: Observation): Revision | null {
  const live = mostLive(observed);
  const revisions = Object.values(observed.nodes).map((node) => live && releaseOn(node, live)?.revision);
  return revisions.find((revision) => revision) ?? null;
}

async function watch(call: Call, { site, ports, engine, wanted }: Work): Promise<0> {
  const { signal, stdout } = call.environment;
  do {
    show(call, { site, wanted }, await engine.observe(site, ports, signal), null);
    if (call.flags.watch) await ports.clock.sleep(watchEveryMs, signal);
  } while (call.flags.watch && !signal.aborted && stdout.writable);
  return 0;
}

export const watchEveryMs = 2000;

function show(
  call: Call,
  { site, wanted }: Pick<Work, 'site' | 'wanted'>,
  observed: Observation,
  drift: Drift | null,
): void {
  const { environment, flags } = call;
  const { stdout } = environment;
  if (flags.json) {
    stdout.write(`${JSON.stringify({ ...statusData(site, observed), ...(drift && { drift }) })}\n`);
    return;
  }
  const paint = paintOf(environment, stdout);
  const text = statusText({
    wanted,
    servingMin: site.servingMin,
    observed,
    apart: site.nodes.flatMap(({ name, traffic }) => (traffic ? [] : [name])),
    remarks: cronRemarks(site, observed),
    lists: site.lists,
    paint,
  });
  stdout.write(flags.watch && stdout.isTTY ? `${home}${text}` : text);
  if (drift !== null) stdout.write(`\n${driftText(drift, paint)}`);
}

/** Top left corner, and everything below it cleared. */
export const home = '\u001b[H\u001b[J';

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
