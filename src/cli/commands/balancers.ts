import { disagreements } from '../../core/agreement.ts';
import { liveParts, livePool } from '../../core/observation.ts';
import { balancersText } from '../../reporters/balancers-text.ts';
import { type Command, json, onSite, paintOf, siteOf } from '../call.ts';

/** What every member of every balancer thinks of every node, read now. Status 3 if one cannot be read, or they differ. */
export const balancersCommand: Command = async (call) =>
  onSite(call, await siteOf(call), async ({ site, ports, engine, wanted }) => {
    const { environment, flags } = call;
    const { stdout, signal } = environment;
    const observed = await engine.observe(site, ports, signal);
    const remarks = disagreements(observed);
    const { balancers, servers, addresses } = observed;
    stdout.write(
      flags.json
        ? json({
            agree: remarks.length === 0,
            remarks,
            pool: livePool(observed),
            parts: liveParts(observed),
            members: balancers,
            servers,
            addresses,
          })
        : balancersText({ wanted, observed, remarks, paint: paintOf(environment, stdout) }),
    );
    return remarks.length === 0 ? 0 : 3;
  });
