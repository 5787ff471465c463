import { chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LabBalancer, startBalancer } from '../lab/balancer.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { deployUser, type LabNode, sshPort } from '../lab/nodes.ts';
import { type GitServer, startGitServer } from './git-server.ts';
import { type Blog, createBlog } from './repository.ts';
import { type SshCounts, sshCounter } from './ssh-counts.ts';
import { startWeb, type WebSite } from './web.ts';

/** Eight nodes that serve a site for each contender; those that roll have an HAProxy before theirs. */
export interface Fleet {
  readonly lab: Lab;
  readonly blog: Blog;
  readonly sites: Readonly<Record<SiteName, FleetSite>>;
  /** What every SSH server has noted since the last time. */
  sshCounts(): Promise<SshCounts>;
  stop(): Promise<void>;
}

export type SiteName = 'floor' | 'together' | 'rolling' | 'capistrano' | 'ansible';

export interface FleetSite extends WebSite {
  readonly name: SiteName;
  /** For the contender's own files. */
  readonly folder: string;
  readonly deployTo: string;
  readonly nodes: readonly LabNode[];
  readonly balancer: LabBalancer | null;
  readonly operator: Operator;
}

/** Whoever deploys: the home of the lab's operator, and an ssh config that knows the nodes. */
export interface Operator {
  readonly home: string;
  readonly sshConfig: string;
  readonly repository: string;
  /** The same repository as nodes reach it. */
  readonly repositoryUrl: string;
}

/** Where a node itself says which release it serves. */
export const healthUrl = ({ port }: WebSite, { address }: LabNode): string =>
  `http://${address}:${port}/health`;

const nodeCount = 8;

const siteNames: readonly SiteName[] = ['floor', 'together', 'rolling', 'capistrano', 'ansible'];
const balanced: readonly SiteName[] = ['rolling', 'ansible'];

export async function startFleet(): Promise<Fleet> {
  // As on Debian, and so that each session that is started is noted.
  const lab = await startLab({
    nodes: nodeCount,
    sshd: ['Subsystem sftp /usr/lib/openssh/sftp-server', 'LogLevel VERBOSE'],
  });
  const started: { stop(): Promise<void> }[] = [lab];
  const stop = async (): Promise<void> => {
    for (const part of started.toReversed()) await part.stop();
  };
  try {
    const blog = await createBlog(join(lab.folder, 'blog'));
    const gitServer = await startGitServer(blog.folder);
    started.push(gitServer);
    const operator = await furnishOperator(lab, blog, gitServer);
    const sites = await Promise.all(
      siteNames.map((name, index) => makeSite(lab, operator, name, 9080 + index)),
    );
    started.push(...sites.flatMap(({ balancer }) => balancer ?? []));
    await Promise.all(lab.nodes.map((node) => furnish(lab, node, sites)));
    return { lab, blog, sites: byName(sites), sshCounts: sshCounter(lab), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const byName = (sites: readonly FleetSite[]): Fleet['sites'] =>
  Object.fromEntries(sites.map((site) => [site.name, site])) as Fleet['sites'];

async function furnishOperator({ home }: Lab, { folder }: Blog, { url }: GitServer): Promise<Operator> {
  const sshConfig = join(home, '.ssh/config');
  await writeFile(sshConfig, sshConfigText(home));
  return { home, sshConfig, repository: folder, repositoryUrl: url };
}

const sshConfigText = (home: string): string => `Host *
  User ${deployUser.name}
  Port ${sshPort}
  IdentityFile ${home}/.ssh/id_ed25519
  UserKnownHostsFile ${home}/.ssh/known_hosts
  BatchMode yes
`;

async function makeSite(lab: Lab, operator: Operator, name: SiteName, port: number): Promise<FleetSite> {
  const { nodes } = lab;
  const folder = join(lab.folder, name);
  await mkdir(folder);
  const servers = nodes.map(({ name: server, address }) => ({ name: server, address, port }));
  const balancer = balanced.includes(name) ? await startBalancer(join(folder, 'haproxy'), servers) : null;
  return { name, port, folder, deployTo: `/srv/${name}`, nodes, balancer, operator };
}

async function furnish(lab: Lab, node: LabNode, sites: readonly WebSite[]): Promise<void> {
  for (const { name } of sites)
    for (const part of ['', 'releases', 'shared', 'shared/wp-content', 'shared/wp-content/uploads']) {
      await mkdir(join(node.srv, name, part), { recursive: true });
      await chown(join(node.srv, name, part), deployUser.uid, deployUser.uid);
    }
  await startWeb(lab, node, sites);
}
