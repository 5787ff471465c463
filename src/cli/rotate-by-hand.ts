import type { ExitStatus } from '../core/errors.ts';
import type { NodeName } from '../core/node.ts';
import { namedNodes } from '../core/target.ts';
import { type Call, onSite, siteOf, wantedOf } from './call.ts';
import { reporterOf } from './screen.ts';

/**
 * What drain and enable share. Nothing is asked: who names a node means it. `done` says what is so then, and what to
 * type next.
 */
export async function rotateByHand(
  call: Call,
  to: 'in' | 'out',
  done: (nodes: readonly NodeName[], wanted: string) => string,
): Promise<ExitStatus> {
  const { environment, flags, words } = call;
  const { signal, stdout } = environment;
  const site = await siteOf(call);
  const nodes = namedNodes(site.nodes, words.slice(1));
  const wanted = wantedOf(call, site);
  const reporter = await reporterOf(call, wanted);
  try {
    await onSite(
      call,
      site,
      ({ ports, engine }) =>
        engine.setRotation(site, ports, { nodes, to, force: flags.force ?? false, signal }),
      (event) => reporter.draw(event),
    );
  } finally {
    reporter.clear();
  }
  if (!flags.json) stdout.write(`${done(nodes, wanted)}\n`);
  return 0;
}
