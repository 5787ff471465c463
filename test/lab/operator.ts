import { join } from 'node:path';
import { filesConfig } from '../../bin/config.ts';
import { createPorts } from '../../bin/ports.ts';
import type { OpenPorts } from '../../src/cli/environment.ts';
import type { Site } from '../../src/core/site.ts';
import type { Lab } from './lab.ts';
import type { LabSite } from './site.ts';

/** An operator at work in this process: what the engine is given, at a fraction of what a run of the program costs. */
export interface LabOperator {
  /** As its config was. */
  readonly config: Site;
  /** Nobody else's connections. */
  readonly ports: OpenPorts;
}

export async function operatorOf({ home }: Lab, { folder }: LabSite): Promise<LabOperator> {
  const env = { HOME: home };
  const read = await filesConfig({ cwd: folder, env }).load('production', {});
  const own = { keys: [join(home, '.ssh/id_ed25519')], knownHosts: [join(home, '.ssh/known_hosts')] };
  const config = { ...read, ssh: { ...read.ssh, ...own, agent: false, configFile: null } };
  return { config, ports: await createPorts(config, { emit: () => {}, env }) };
}
