import { join } from 'node:path';
import { eventsOfType } from '../lab/events.ts';
import type { Lab } from '../lab/lab.ts';
import { createRepository } from '../lab/repository.ts';
import type { LabSite } from '../lab/site.ts';
import { restartSeconds } from './restart-time.ts';

/** Seconds, on each node. */
export interface OutOfRotation {
  /** The restart of the application alone. */
  readonly restartSeconds: number;
  readonly outSeconds: readonly number[];
}

/** The lab's own application, which takes a second to start: what sluice adds to that while a node is out of rotation. */
export async function slowApplication(lab: Lab): Promise<OutOfRotation> {
  const versions = ['one', 'two'].map((tag) => ({ tag, bootMs: 1000 }));
  const repository = await createRepository(join(lab.folder, 'shop'), versions);
  const site = await lab.site({ name: 'shop', nodes: lab.nodes.length, repository });
  await mustDeploy(site, 'one', '--strategy', 'all-at-once');
  const { report } = eventsOfType(await mustDeploy(site, 'two', '--json'), 'run-ended')[0]!;
  const node = site.nodes[0]!;
  return {
    restartSeconds: await restartSeconds(lab, node, {
      deployTo: `/srv/${site.name}`,
      url: `http://${node.address}:${site.port}/health`,
      restart: [`/srv/${site.name}/current/bin/restart`],
    }),
    outSeconds: (report.nodes ?? []).map(({ outMs }) => (outMs ?? 0) / 1000),
  };
}

async function mustDeploy(site: LabSite, ref: string, ...flags: readonly string[]) {
  const result = await site.deploy(ref, ...flags);
  if (result.exit !== 0)
    throw new Error(`the deploy of ${ref} to ${site.name} ended with ${result.exit}:\n${result.output}`);
  return result;
}
