import { type ExitStatus, failure } from '../../core/errors.ts';
import type { Site } from '../../core/site.ts';
import type { Simulated } from '../../simulator/simulate.ts';
import { type Call, type Command, paintOf, siteOf } from '../call.ts';

/**
 * Lets the site's own strategy, floor and policies live through seeded faults in a simulated world, each seed another
 * life. Nothing is connected to. Ends with 1 and the story of the first life in which a promise was broken.
 */
export const simulateCommand: Command = async (call) => {
  const { environment, flags } = call;
  const runs = whole('--runs', flags.runs, 200);
  const first = whole('--seed', flags.seed, 1);
  const site = await siteOf(call);
  const { simulate } = await environment.simulator();
  const strategy = await environment.config.strategy(site.strategy);
  const kinds = await environment.config.balancers();
  for (let seed = first; seed < first + runs; seed++) {
    if (environment.signal.aborted)
      throw failure('INTERRUPTED', { signal: String(environment.signal.reason) });
    const life = await simulate({
      seed,
      nextTurn: environment.nextTurn,
      strategy: () => ({ strategy, batchMax: Math.max(1, site.nodes.length - site.servingMin) }),
      kinds,
      nodes: site.nodes.length,
      site: simulatedPart(site),
    });
    if (life.broken.length > 0) return showBroken(call, life);
  }
  const last = first + runs - 1;
  environment.stdout.write(
    `${runs} simulated lives of the site (seeds ${first} to ${last}), and no promise was broken.\n`,
  );
  return 0;
};

/** What decides how safe a run is. Functions are the user's own code, which must not run for a pretence. */
export const simulatedPart = (site: Site): Partial<Site> => ({
  name: site.name,
  stage: site.stage,
  // Each has an address of its own there, whatever tunnels it is reached through; and as none is worse off with traffic
  // than without, all have some.
  nodes: site.nodes.map((node) => ({ ...node, address: node.name, traffic: true })),
  balancers: site.balancers,
  addresses: site.addresses,
  servingMin: site.servingMin,
  drain: site.drain,
  keepReleases: site.keepReleases,
  onFailure: site.onFailure,
  failuresMax: site.failuresMax,
  // Releases have no files there, and machines one way to begin jobs.
  cron: site.cron && { ...site.cron, file: null, keptIn: 'crontab' },
  assets: site.assets,
  hooks: site.hooks.filter(({ action }) => action.kind !== 'function'),
});

function showBroken(call: Call, { seed, broken, trace }: Simulated): ExitStatus {
  const { stdout } = call.environment;
  const paint = paintOf(call.environment, stdout);
  const promises = broken.map(({ promise, how }) => paint.bad(`${promise}: ${how}`));
  const steps = trace.slice(-stepsShown).map((line) => `  ${line}`);
  const again = `The same life again: sluice simulate ${call.words[0] ?? ''} --runs 1 --seed ${seed}`;
  stdout.write(
    `${[...promises, `What led there, in the life of seed ${seed}:`, ...steps, again].join('\n')}\n`,
  );
  return 1;
}

const stepsShown = 40;

export function whole(flag: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw failure('USAGE', {
    problem: `${flag}: expected a whole number from 1, got ${JSON.stringify(text)}.`,
  });
}
