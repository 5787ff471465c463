import { releaseRows, releasesText } from '../../reporters/releases-text.ts';
import { type Command, json, onSite, paintOf, siteOf } from '../call.ts';

/** Which node has which release, newest first. */
export const releasesCommand: Command = async (call) =>
  onSite(call, await siteOf(call), async ({ site, ports, engine }) => {
    const { environment, flags } = call;
    const { stdout, signal } = environment;
    const observed = await engine.observe(site, ports, signal);
    stdout.write(
      flags.json ? json(releaseRows(observed)) : releasesText(observed, paintOf(environment, stdout)),
    );
    return 0;
  });
