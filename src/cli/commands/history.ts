import { historyText } from '../../reporters/history-text.ts';
import { type Command, json, onSite, paintOf, siteOf } from '../call.ts';

/** What was deployed and rolled back, by whom and when, as the nodes' logs have it. */
export const historyCommand: Command = async (call) =>
  onSite(call, await siteOf(call), async ({ site, ports, engine }) => {
    const { environment, flags } = call;
    const { stdout } = environment;
    const entries = await engine.history(site, ports);
    const nodes = site.nodes.map(({ name }) => name);
    stdout.write(flags.json ? json(entries) : historyText(entries, nodes, paintOf(environment, stdout)));
    return 0;
  });
