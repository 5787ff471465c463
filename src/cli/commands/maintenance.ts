import { failure } from '../../core/errors.ts';
import { type Command, onSite, siteOf, wantedOf } from '../call.ts';
import { reporterOf } from '../screen.ts';

/** Turns visitors away, or lets them in again. Nothing is asked: who names it means it. */
export const maintenanceCommand: Command = async (call) => {
  const { environment, flags, words } = call;
  const { signal, stdout } = environment;
  const to = words[1];
  if (to !== 'on' && to !== 'off')
    throw failure('USAGE', { problem: `expected on or off, got ${JSON.stringify(to)}` });
  // It stands on one line of a file and of the history.
  const reason = flags.reason?.replace(/\s+/g, ' ').trim() || null;
  const site = await siteOf(call);
  const wanted = wantedOf(call, site);
  const reporter = await reporterOf(call, wanted);
  try {
    await onSite(
      call,
      site,
      ({ ports, engine }) =>
        engine.maintain(site, ports, { to, reason, withoutQuorum: flags.withoutQuorum ?? false, signal }),
      (event) => reporter.draw(event),
    );
  } finally {
    reporter.clear();
  }
  if (!flags.json)
    stdout.write(
      to === 'on'
        ? `Visitors of ${wanted} are turned away, until: sluice maintenance ${wanted} off\n`
        : `Visitors of ${wanted} are let in.\n`,
    );
  return 0;
};
