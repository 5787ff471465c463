import { execFileSync } from 'node:child_process';
import { chownSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { cosmiconfig } from 'cosmiconfig';
import type { CliResult } from './cli.ts';
import { type Lab, startLab } from './lab.ts';
import { deployUser, type LabNode } from './nodes.ts';
import { instructionsOf } from './read-along.ts';
import type { LabSite } from './site.ts';
import { onNode } from './ssh.ts';

/** What the program saw, for the tests to judge. */
export interface StorageResult {
  /** The check of a site with the storage of examples/wordpress, mounted as its README says. */
  readonly example: CliResult;
  /** The kind of file system, and the text, that web2 sees of what web1 took in there. */
  readonly exampleUpload: string;
  readonly mounted: CliResult;
  /** What is on the storage after the first check. */
  readonly made: readonly string[];
  /** What web2 reads of an upload to web1, after a deploy. */
  readonly upload: string;
  readonly unmounted: CliResult;
  readonly deployUnmounted: CliResult;
  /** What sluice made in the place of the missing mount. */
  readonly madeUnmounted: readonly string[];
  readonly different: CliResult;
  readonly stale: readonly CliResult[];
  /** The ids of processes that hang on the stale mount, after each of those checks. */
  readonly hanging: readonly (readonly string[])[];
}

const result = openSync(process.argv[2]!, 'w');
const mountPoint = '/mnt/shop';

const run = (program: string, ...args: readonly string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** A server in this kernel with two exports, and that of examples/wordpress. */
function startServer(): void {
  for (const name of ['a', 'b']) {
    mkdirSync(`/run/exports/${name}`, { recursive: true });
    run('chmod', '777', `/run/exports/${name}`);
  }
  mkdirSync('/run/exports/srv/uploads', { recursive: true });
  chownSync('/run/exports/srv/uploads', deployUser.uid, deployUser.uid);
  run('mount', '-t', 'tmpfs', 'tmpfs', '/var/lib/nfs');
  for (const folder of ['rpc_pipefs', 'v4recovery']) mkdirSync(`/var/lib/nfs/${folder}`);
  for (const file of ['etab', 'rmtab']) writeFileSync(`/var/lib/nfs/${file}`, '');
  run('mount', '-t', 'nfsd', 'nfsd', '/proc/fs/nfsd');
  run('exportfs', '-o', 'rw,no_root_squash,insecure,fsid=0', '127.0.0.1:/run/exports');
  run('rpc.mountd', '-N', '3');
  run('rpc.nfsd', '-N', '3', '2');
  writeFileSync('/proc/fs/nfsd/v4_end_grace', 'Y');
}

const stopServer = (): void => void run('rpc.nfsd', '0');

const mount = (name: string): void =>
  void run('mount', '-t', 'nfs4', '-o', 'nolock,vers=4.2', `127.0.0.1:/${name}`, mountPoint);
const unmount = (): void => void run('umount', mountPoint);

/** A node sees the mounts that are there when it starts. */
async function restart(node: LabNode): Promise<void> {
  await node.stop();
  await node.start();
}

/** Others wait for their disk for a moment. */
async function hangingNow(): Promise<readonly string[]> {
  let hanging = sleeping();
  for (let looks = 1; looks < 5; looks++) {
    await sleep(200);
    const still = sleeping();
    hanging = hanging.filter((id) => still.includes(id));
  }
  return hanging;
}

/** Processes that nothing can wake but what they wait for (proc(5), state D). */
const sleeping = (): readonly string[] =>
  readdirSync('/proc').filter((id) => /^\d+$/.test(id) && /\) D /.test(statOf(id)));

/** Many a process ends while its name is read. */
function statOf(id: string): string {
  try {
    return readFileSync(`/proc/${id}/stat`, 'utf8');
  } catch {
    return '';
  }
}

/** The example's storage is at another address; else its settings and the lines of its README are taken as they stand. */
async function observeExample(lab: Lab): Promise<Pick<StorageResult, 'example' | 'exampleUpload'>> {
  const file = (name: string): string =>
    fileURLToPath(new URL(`../../examples/wordpress/${name}`, import.meta.url));
  const { linkedDirs, stages } = (await cosmiconfig('sluice').load(file('sluice.config.yaml')))!.config;
  const settings = { linkedDirs, shared: stages.production.shared };
  const site = await lab.site({ name: 'blog', nodes: 2, kind: 'files', settings });
  const furnish = instructionsOf(readFileSync(file('README.md'), 'utf8'))
    .find(({ heading, text }) => heading === 'On web1 and web2' && text.includes('fstab'))!
    .text.replace(/^apt .*/m, '')
    .replace('10.0.0.20', '127.0.0.1')
    .replace('/etc/fstab', '/run/fstab')
    .replace(/^mount /m, 'mount --fstab /run/fstab ');
  for (const node of site.nodes) await node.asRoot(furnish);
  const [web1, web2] = site.nodes as [LabNode, LabNode];
  const example = await site.start('check', 'production').ended;
  const uploads = '/srv/blog/shared/wp-content/uploads';
  await onNode(lab, web1, `echo a cat > ${uploads}/cat.jpg`);
  const exampleUpload = await onNode(lab, web2, `stat -f -c %T ${uploads} && cat ${uploads}/cat.jpg`);
  return { example, exampleUpload };
}

async function observe(lab: Lab, site: LabSite): Promise<Omit<StorageResult, 'example' | 'exampleUpload'>> {
  const [web1, web2] = lab.nodes as [LabNode, LabNode];
  const check = (): Promise<CliResult> => site.sluice('check', 'production');

  const mounted = await check();
  const made = readdirSync('/run/exports/a', { recursive: true, encoding: 'utf8' });
  await site.deployed('good-1');
  await onNode(lab, web1, 'echo a cat > /srv/shop/current/uploads/cat.jpg');
  const upload = await onNode(lab, web2, 'cat /srv/shop/current/uploads/cat.jpg');

  unmount();
  await restart(web2);
  const unmounted = await check();
  const deployUnmounted = await site.deploy('good-1');
  const madeUnmounted = readdirSync(mountPoint);

  mount('b');
  await restart(web2);
  const different = await check();

  unmount();
  mount('a');
  await restart(web2);
  stopServer();
  const stale: CliResult[] = [];
  const hanging: (readonly string[])[] = [];
  for (let time = 0; time < 2; time++) {
    stale.push(await check());
    hanging.push(await hangingNow());
  }
  return {
    mounted,
    made,
    upload,
    unmounted,
    deployUnmounted,
    madeUnmounted,
    different,
    stale,
    hanging,
  };
}

// What hangs in the end leaves files behind: in memory, not on the machine's own disk.
run('mount', '-t', 'tmpfs', '-o', 'mode=1777', 'tmpfs', '/tmp');
startServer();
mkdirSync(mountPoint);
mount('a');
const lab = await startLab({ nodes: 2, versions: [{ tag: 'good-1' }] });
const site = await lab.site({
  name: 'shop',
  nodes: 2,
  kind: 'files',
  settings: {
    linkedDirs: ['log', 'uploads'],
    shared: { path: mountPoint, kind: 'nfs', linkedDirs: ['uploads'] },
  },
});
writeSync(result, JSON.stringify({ ...(await observeExample(lab)), ...(await observe(lab, site)) }));
// No more is cleaned up than a power cut would: what hangs on the dead mount could keep it from ending.
process.exit(0);
