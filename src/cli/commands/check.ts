import { failure } from '../../core/errors.ts';
import type { Preflight } from '../../engine/preflight.ts';
import { checkText } from '../../reporters/check-text.ts';
import { type Call, type Command, json, onSite, paintOf, siteOf, type Work } from '../call.ts';

/** Everything that is looked at before a deploy; makes the directories of an empty `deployTo`. */
export const checkCommand: Command = async (call) =>
  onSite(call, await siteOf(call), async (work) => {
    const { environment, flags } = call;
    const { stdout } = environment;
    const { site, wanted } = work;
    const { problems, warnings } = await preflightOf(call, work);
    if (flags.json)
      stdout.write(json({ ready: problems.length === 0, problems, warnings, lists: site.lists }));
    if (problems.length > 0) throw failure('PREFLIGHT', { problems });
    if (!flags.json) {
      const [nodes, balancers] = [site.nodes.length, site.balancers.length];
      stdout.write(
        checkText({ wanted, nodes, balancers, warnings, lists: site.lists }, paintOf(environment, stdout)),
      );
    }
    return 0;
  });

/**
 * Directories first, so that what is then missing can be put into them. A node or a mount that does not answer is a
 * problem, not a stop.
 */
async function preflightOf(
  { environment: { config, signal } }: Call,
  { site, ports, engine }: Work,
): Promise<Preflight> {
  const observed = await engine.observe(site, ports, signal);
  if (Object.values(observed.nodes).some(({ unreachable }) => unreachable !== null))
    return engine.preflight(site, observed);
  const storage = await engine.proveStorage(site, ports, signal);
  if (storage.answers) await engine.setup(site, ports);
  const ready = await engine.observe(site, ports, signal);
  const { problems, warnings } = engine.preflight(site, ready);
  const pools = engine.preflightPools(site, ports.balancers);
  return {
    problems: [
      ...problems,
      ...pools.problems,
      ...engine.flipsOnlyProblems(await config.strategy(site.strategy), ports.balancers),
      ...engine.webSocketProblems(site, ports.balancers),
      ...storage.problems,
    ],
    warnings: [
      ...warnings,
      ...pools.warnings,
      ...storage.warnings,
      ...engine.weakSpots(ports.balancers, ready, site.drain),
      ...(await engine.shrunk(site, ports, signal)),
    ],
  };
}
