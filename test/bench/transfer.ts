import { execFile } from 'node:child_process';
import { appendFile, chown, cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { eventsOfType } from '../lab/events.ts';
import type { Lab } from '../lab/lab.ts';
import { deployUser, type LabNode, sshPort } from '../lab/nodes.ts';
import { onNode } from '../lab/ssh.ts';
import { program } from './contenders/sluice.ts';
import { type CountingProxy, startCountingProxy } from './counting-proxy.ts';
import { startGitServer } from './git-server.ts';
import type { Blog } from './repository.ts';
import { timedRun } from './timed-run.ts';

/** One change, brought to one node that has the version before. */
export interface Transfers {
  /** The files that changed, together, as `gzip -6` makes them. */
  readonly compressedBytes: number;
  readonly ways: readonly Transfer[];
}

export interface Transfer {
  readonly label: string;
  /** Of whole connections, both ways. */
  readonly bytes: number;
  readonly seconds: number;
}

/**
 * The same change over each way, by itself. sluice's bytes are those of a whole deploy, its seconds those of the steps that
 * make and bring the release; rsync and git begin with a checkout, or a mirror, that has it.
 */
export async function transfers(lab: Lab, blog: Blog): Promise<Transfers> {
  const node = lab.nodes[0]!;
  const ssh = await startCountingProxy({ host: node.address, port: sshPort });
  const server = await startGitServer(blog.folder);
  const git = await startCountingProxy({ host: '127.0.0.1', port: Number(new URL(server.url).port) });
  const place = { lab, blog, node, ssh, git, gitUrl: server.url };
  try {
    await appendFile(join(lab.home, '.ssh/known_hosts'), `[127.0.0.1]:${ssh.port} ${keyOf(node)}\n`);
    const ways = [
      await sluiceWay(place, 'git'),
      await sluiceWay(place, 'seed'),
      await rsyncWay(place),
      await gitWay(place),
    ];
    for (const way of ways) await way.bring();
    await blog.nextVersion();
    const measured: Transfer[] = [];
    for (const { label, bring } of ways) {
      place.ssh.bytes();
      place.git.bytes();
      const seconds = await bring();
      measured.push({ label, seconds, bytes: place.ssh.bytes() + place.git.bytes() });
    }
    return { compressedBytes: await compressedChange(blog), ways: measured };
  } finally {
    await Promise.all([ssh.stop(), git.stop(), server.stop()]);
  }
}

interface Place {
  readonly lab: Lab;
  readonly blog: Blog;
  readonly node: LabNode;
  readonly ssh: CountingProxy;
  readonly git: CountingProxy;
  readonly gitUrl: string;
}

interface Way {
  readonly label: string;
  /** Brings what main is to the node; resolves to the seconds that it took. */
  bring(): Promise<number>;
}

const keyOf = ({ hostKey }: LabNode): string => hostKey.slice(hostKey.indexOf(' ') + 1);
const run = promisify(execFile);

async function sluiceWay(place: Place, from: 'git' | 'seed'): Promise<Way> {
  const { lab, blog, ssh } = place;
  const name = `moved-${from}`;
  const folder = join(lab.folder, name);
  const seed = lab.nodes[1]!;
  await mkdir(folder);
  await directoryOf(place, name);
  const source = {
    git: { git: blog.folder },
    seed: { seed: { host: seed.address, path: '/srv/changed-by-hand', store: './images' } },
  };
  await writeFile(
    join(folder, 'sluice.config.json'),
    JSON.stringify({
      name,
      source: source[from],
      deployTo: `/srv/${name}`,
      strategy: 'all-at-once',
      servingMin: 0,
      nodes: [{ name: 'web1', address: '127.0.0.1', port: ssh.port }],
      ssh: { user: deployUser.name, port: sshPort },
      stages: { production: {} },
    }),
  );
  const sluice = (...words: readonly string[]) =>
    timedRun([process.execPath, program, ...words], { cwd: folder, home: lab.home });
  return {
    label: `sluice, ${from === 'git' ? 'from git' : 'an image of a seed'}`,
    async bring() {
      if (from === 'seed') {
        await changeByHand(blog, seed);
        await sluice('seed', 'build', 'production');
      }
      const deployed = await sluice('deploy', 'production', '--yes', '--json');
      const steps = eventsOfType(deployed, 'step-done').filter(({ step }) => bringing.includes(step.kind));
      return steps.reduce((sum, { tookMs }) => sum + tookMs / 1000, 0);
    },
  };
}

const bringing: readonly string[] = ['build', 'prepare'];

async function changeByHand({ folder }: Blog, { srv }: LabNode): Promise<void> {
  const there = join(srv, 'changed-by-hand');
  await cp(folder, there, { recursive: true, filter: (path) => !path.endsWith('/.git') });
  await run('chown', ['-R', `${deployUser.uid}:${deployUser.uid}`, there]);
}

async function rsyncWay(place: Place): Promise<Way> {
  const { lab, blog, ssh } = place;
  await directoryOf(place, 'rsynced');
  const key = join(lab.home, '.ssh/id_ed25519');
  const hosts = join(lab.home, '.ssh/known_hosts');
  const remote = `ssh -F none -o BatchMode=yes -o UserKnownHostsFile=${hosts} -i ${key} -p ${ssh.port}`;
  let n = 0;
  return {
    label: 'rsync -az --link-dest',
    bring() {
      const [from, to] = [`../${n}`, `${deployUser.name}@127.0.0.1:/srv/rsynced/${n + 1}/`];
      n += 1;
      return timed(() =>
        run('rsync', ['-az', '--exclude=.git', `--link-dest=${from}`, '-e', remote, `${blog.folder}/`, to]),
      );
    },
  };
}

async function gitWay(place: Place): Promise<Way> {
  const { lab, node, git, gitUrl } = place;
  await directoryOf(place, 'fetched');
  const url = gitUrl.replace(/:\d+\//, `:${git.port}/`);
  await onNode(lab, node, `git clone --quiet --mirror ${url} /srv/fetched/mirror`);
  let n = 0;
  return {
    label: 'git fetch, git archive',
    bring() {
      n += 1;
      return timed(() =>
        onNode(
          lab,
          node,
          `cd /srv/fetched && git -C mirror fetch --quiet && mkdir ${n} && git -C mirror archive main | tar -xf - -C ${n}`,
        ),
      );
    },
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return (performance.now() - startMs) / 1000;
}

async function directoryOf({ node }: Place, name: string): Promise<void> {
  await mkdir(join(node.srv, name));
  await chown(join(node.srv, name), deployUser.uid, deployUser.uid);
}

async function compressedChange({ folder }: Blog): Promise<number> {
  const { stdout } = await run('git', ['-C', folder, 'diff', '--name-only', 'HEAD~1']);
  const changed = stdout.trim().split('\n');
  const packed = await run('tar', ['-cf', '-', '-C', folder, ...changed], {
    encoding: 'buffer',
    maxBuffer: 1 << 30,
  });
  return gzipSync(packed.stdout, { level: 6 }).length;
}
