import { type Observation, servingNodes } from '../../core/observation.ts';
import { driftedNodes, mostLive, statusText } from '../../reporters/status-text.ts';
import { type Call, type Command, onSite, paintOf, siteOf, type Work } from '../call.ts';

/** What is so, read now; with `--watch` again and again, until Ctrl-C or until nobody reads it any more. */
export const statusCommand: Command = async (call) =>
  onSite(call, await siteOf(call), async ({ site, ports, engine, wanted }) => {
    const { signal, stdout } = call.environment;
    const observe = (): Promise<Observation> => engine.observe(site, ports, signal);
    show(call, { site, wanted }, await observe());
    while (call.flags.watch && !signal.aborted && stdout.writable) {
      await ports.clock.sleep(watchEveryMs, signal);
      if (signal.aborted) break;
      show(call, { site, wanted }, await observe());
    }
    return 0;
  });

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
    paint: paintOf(environment, stdout),
  });
  stdout.write(flags.watch && stdout.isTTY ? `${home}${text}` : text);
}

/** Top left corner, and everything below it cleared. */
const home = '\u001b[H\u001b[J';

const statusData = ({ name, stage, servingMin }: Work['site'], observed: Observation) => ({
  site: name,
  stage,
  servingMin,
  serving: servingNodes(observed),
  release: mostLive(observed),
  drifted: driftedNodes(observed),
  ...observed,
});
