import { chmod, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Version } from './application.ts';
import { type FirstProcess, type LabNode, makeKey, makeNodes, type NodePlace, startNodes } from './nodes.ts';
import { createRepository, type Repository } from './repository.ts';
import { homeElsewhere, LabSite, type SiteOptions } from './site.ts';
import { warmCli } from './warm-cli.ts';

export interface LabOptions {
  /** How many; they are named web1, web2, … */
  readonly nodes: number;
  /** Lines for the sshd_config of every node. */
  readonly sshd?: readonly string[];
  /** The size of each node's /srv; default: no limit. */
  readonly diskBytes?: number;
  /** Directories of the machine of which each node has a copy of its own. */
  readonly own?: readonly string[];
  /** Where the nodes are; default: at loopback addresses. */
  readonly places?: readonly NodePlace[];
  /** Of each node; default: the SSH server itself. */
  readonly first?: FirstProcess;
  /** Of the repository; default: every one. */
  readonly versions?: readonly Version[];
}

/** Nodes, an operator's home with a key that they know, and a repository: for all sites of a file. */
export interface Lab {
  readonly folder: string;
  readonly home: string;
  readonly nodes: readonly LabNode[];
  readonly repository: Repository;
  /** A site on `nodes` nodes, the first ones unless `after` others. */
  site(options: LabSiteOptions): Promise<LabSite>;
  /** Ends every process and deletes every file. */
  stop(): Promise<void>;
}

export interface LabSiteOptions {
  readonly name: string;
  readonly nodes: number;
  readonly after?: number;
  /** A web application behind HAProxy (the default), or files only. */
  readonly kind?: 'application' | 'files';
  readonly repository?: Pick<Repository, 'folder'>;
  readonly isSetUp?: boolean;
  readonly settings?: SiteOptions['settings'];
  readonly timeoutMs?: SiteOptions['timeoutMs'];
}

export async function startLab({
  nodes: count,
  sshd = [],
  diskBytes,
  own = [],
  places = [],
  first,
  versions,
}: LabOptions): Promise<Lab> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-lab-'));
  const home = join(folder, 'operator');
  const warm = warmCli(home);
  const sites: LabSite[] = [];
  let nodes: readonly LabNode[] = [];
  const stop = async (): Promise<void> => {
    warm.stop();
    await Promise.all([...sites.map((site) => site.stop()), ...nodes.map((node) => node.stop())]);
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  try {
    await chmod(folder, 0o755);
    const authorizedKey = await furnishHome(home);
    const names = Array.from({ length: count }, (_, index) => `web${index + 1}`);
    nodes = await makeNodes({ folder, names, authorizedKey, sshd, diskBytes, own, places, first });
    await startNodes(nodes);
    await writeFile(join(home, '.ssh/known_hosts'), nodes.map(({ hostKey }) => `${hostKey}\n`).join(''));
    await cp(home, homeElsewhere(home), { recursive: true });
    const repository = await createRepository(join(folder, 'repository'), versions);
    const site = async (options: LabSiteOptions): Promise<LabSite> => {
      const {
        name,
        nodes: size,
        after = 0,
        kind = 'application',
        isSetUp = true,
        settings = {},
        timeoutMs,
      } = options;
      const made = await LabSite.create({
        name,
        nodes: nodes.slice(after, after + size),
        git: (options.repository ?? repository).folder,
        home,
        warm,
        folder: join(folder, 'sites', name),
        port: kind === 'application' ? 8080 + sites.length : null,
        isSetUp,
        settings,
        timeoutMs,
      });
      sites.push(made);
      return made;
    };
    return { folder, home, nodes, repository, site, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** An operator's home. Returns the public key. */
async function furnishHome(home: string): Promise<string> {
  await mkdir(join(home, '.ssh'), { recursive: true, mode: 0o700 });
  await makeKey(join(home, '.ssh/id_ed25519'));
  return readFile(join(home, '.ssh/id_ed25519.pub'), 'utf8');
}
