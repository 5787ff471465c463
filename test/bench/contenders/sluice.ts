import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deployUser, sshPort } from '../../lab/nodes.ts';
import type { FleetSite } from '../fleet.ts';
import { reload } from '../web.ts';
import { type Contender, keepReleases, linkedDir } from './contender.ts';

/** The compiled program, as a user gets it. */
export const program = fileURLToPath(new URL('../../../dist/bin/sluice.js', import.meta.url));

/** On all nodes at the same time, as sites without a balancer are released. */
export const together: Contender = {
  name: 'together',
  label: 'sluice, all at once',
  furnish: (site) => configure(site, { strategy: 'all-at-once', servingMin: 0 }),
  command: deploy,
};

/** One node at a time, through HAProxy. */
export const rolling: Contender = {
  name: 'rolling',
  label: 'sluice, one by one, HAProxy',
  furnish: (site) =>
    configure(site, {
      strategy: 'rolling',
      servingMin: site.nodes.length - 1,
      balancers: { lb1: { kind: 'haproxy', socket: site.balancer?.socket, backend: 'web' } },
    }),
  command: deploy,
};

function deploy(): readonly string[] {
  return [process.execPath, program, 'deploy', 'production', '--yes', '--json'];
}

const configure = (
  { name, folder, port, deployTo, nodes, operator }: FleetSite,
  settings: Readonly<Record<string, unknown>>,
): Promise<void> =>
  writeFile(
    join(folder, 'sluice.config.json'),
    JSON.stringify({
      name,
      source: { git: operator.repository },
      deployTo,
      linkedDirs: [linkedDir],
      // The nodes are folders of one machine, and what is uploaded is not raced.
      localDirs: [linkedDir],
      keepReleases,
      nodes: nodes.map(({ name: node, address }) => ({ name: node, address })),
      ssh: { user: deployUser.name, port: sshPort },
      checks: [{ path: '/health', port, expect: 'release {{release}} revision {{revision}}' }],
      activate: [reload],
      stages: { production: {} },
      ...settings,
    }),
  );
