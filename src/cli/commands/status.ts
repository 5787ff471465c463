import { cronRemarks } from '../../core/cron.ts';
import { livePool, type Observation, servingNodes } from '../../core/observation.ts';
import { driftedNodes, mostLive, statusText } from '../../reporters/status-text.ts';
import { type Call, type Command, onSite, paintOf, siteOf, type Work } from '../call.ts';

/** What is so, read now; with `--watch` again and again, until Ctrl-C or until nobody reads it any more. */
export const statusCommand: Command = async (call) => {
  const { signal } = call.environment;
  try {
    return await onSite(call, await siteOf(call), (work) => watch(call, work));
  } catch (error) {
    if (call.flags.watch && signal.aborted) return 0;
    throw error;
  }
};

async function watch(call: Call, { site, ports, engine, wanted }: Work): Promise<0> {
  const { signal, stdout } = call.environment;
  do {
    show(call, { site, wanted }, await engine.observe(site, ports, signal));
    if (call.flags.watch) await ports.clock.sleep(watchEveryMs, signal);
  } while (call.flags.watch && !signal.aborted && stdout.writable);
  return 0;
}

const watchEveryMs = 2000;

function show(call: Call, { site, wanted }: Pick<Work, 'site' | 'wanted'>, observed: Observation): void {
  const { environment, flags } = call;
  const { stdout } = environment;
  if (flags.json) {
    stdout.write(`${JSON.stringify(statusData(site, observed))}\n`);
    return;
  }
  const text = statusText({
    wanted,
    servingMin: site.servingMin,
    observed,
    apart: site.nodes.flatMap(({ name, traffic }) => (traffic ? [] : [name])),
    remarks: cronRemarks(site, observed),
    lists: site.lists,
    paint: paintOf(environment, stdout),
  });
  stdout.write(flags.watch && stdout.isTTY ? `${home}${text}` : text);
}

/** Top left corner, and everything below it cleared. */
const home = '\u001b[H\u001b[J';

const statusData = ({ name, stage, servingMin, lists }: Work['site'], observed: Observation) => ({
  site: name,
  stage,
  servingMin,
  lists,
  pool: livePool(observed),
  serving: servingNodes(observed),
  release: mostLive(observed),
  drifted: driftedNodes(observed),
  ...observed,
});
