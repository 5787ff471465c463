import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** A machine of the lab: a real SSH server on a loopback address, with /srv, /home, crontabs, users and processes of its own. */
export interface LabNode {
  readonly name: string;
  readonly address: string;
  /** What the node has as /srv, as the tests see it. */
  readonly srv: string;
  /** The crontab of the user to log in as, as the tests see it. */
  readonly crontab: string;
  /** Of /srv, if it is a disk of its own. */
  readonly diskBytes: number | undefined;
  /** The line of `known_hosts` for it. */
  readonly hostKey: string;
  start(): Promise<void>;
  /** Runs a script as root, as an administrator would; resolves to its output, and rejects unless it ends with 0. */
  asRoot(script: string): Promise<string>;
  /** As if its plug was pulled: every process on it is gone. */
  stop(): Promise<void>;
  /** Lets it fall silent until `mend`: connections stay open, and nothing answers. */
  cut(off: CutOff): Promise<void>;
  /** What was silent goes on where it was. */
  mend(): Promise<void>;
  /** Resolves once nothing is done over SSH any more: a server that was silent may still read what it was sent before. */
  idle(): Promise<void>;
}

/**
 * `ssh`: no packet comes or goes, what was begun goes on. `connections`: those over SSH are lost, and there is no new one.
 * `machine`: it stands still, with all that it serves.
 */
export type CutOff = 'ssh' | 'connections' | 'machine';

export interface NodesOptions {
  /** Made beforehand; everything that a node writes stays in it. */
  readonly folder: string;
  readonly names: readonly string[];
  /** The public key that may log in as `deploy`. */
  readonly authorizedKey: string;
  /** Lines for sshd_config. */
  readonly sshd?: readonly string[];
  /** The size of /srv, which is then a disk of its own that is empty at each start; default: that of the machine. */
  readonly diskBytes?: number | undefined;
  /** Directories of the machine, such as /etc/nginx, of which each node has a copy of its own. */
  readonly own?: readonly string[];
  /** Where each of them is; default: each at a loopback address. */
  readonly places?: readonly NodePlace[];
  /** Default: the SSH server itself. */
  readonly first?: FirstProcess | undefined;
}

/** What starts all other processes of a node. */
export interface FirstProcess {
  /** The end of the node's boot, which becomes that process and has the SSH server started; the node's files are in `$folder`. */
  readonly script: string;
  /** Once the node is stopped: nothing of it may stay beside its folder. */
  cleanUp(folder: string): Promise<void>;
}

/** An address, and what a program is run through to have it: words that enter a network, say. */
export interface NodePlace {
  readonly address: string;
  readonly through: readonly string[];
}

export const sshPort = 2222;
/** The user to log in as: an ordinary one, who owns /srv and may become `app` through sudo. */
export const deployUser = { name: 'deploy', uid: 1500 } as const;
export const appUser = { name: 'app', uid: 1501 } as const;
/** Where nodes have Node.js. */
export const nodeProgram = '/opt/node';

/** Nodes that are not started yet. To start them needs root. They end with `stop`, or with the process that started them. */
export const makeNodes = (options: NodesOptions): Promise<readonly LabNode[]> =>
  Promise.all(
    options.names.map((name, index) => makeNode(name, options.places?.[index] ?? onLoopback(index), options)),
  );

/** Eight at a time. */
export async function startNodes(nodes: readonly LabNode[]): Promise<void> {
  for (let done = 0; done < nodes.length; done += 8)
    await Promise.all(nodes.slice(done, done + 8).map((node) => node.start()));
}

/** Every test process has a network of its own, so that what one leaves behind is not in the next one's way. */
const onLoopback = (index: number): NodePlace => ({
  address: `127.${20 + (process.pid % 200)}.${Math.floor(process.pid / 200) % 250}.${index + 1}`,
  through: [],
});

async function makeNode(name: string, place: NodePlace, options: NodesOptions): Promise<LabNode> {
  const { address } = place;
  const folder = join(options.folder, name);
  await furnish(folder, address, options);
  let process: ChildProcess | null = null;
  return {
    name,
    address,
    crontab: join(folder, 'cron/crontabs', deployUser.name),
    diskBytes: options.diskBytes,
    get srv() {
      return options.diskBytes === undefined ? join(folder, 'srv') : `/proc/${process?.pid}/root/srv`;
    },
    hostKey: `[${address}]:${sshPort} ${(await readFile(join(folder, 'host_key.pub'), 'utf8')).trim()}`,
    async start() {
      process ??= await boot(folder, place, options);
    },
    async asRoot(script) {
      const { first } = await sshServers(process!);
      const words = ['--target', `${first}`, '--mount', '--pid', 'sh', '-euc', script];
      return (await promisify(execFile)('nsenter', words)).stdout;
    },
    async stop() {
      if (process?.exitCode === null && process.signalCode === null) {
        const ended = once(process, 'exit');
        process.kill('SIGKILL');
        await ended;
        // What it started dies a moment later.
        for (let waitedMs = 0; (await answers(address)) && waitedMs < endTimeoutMs; waitedMs += 20)
          await sleep(20);
        await (options.first ?? sshServer).cleanUp(folder);
      }
      process = null;
    },
    async cut(off) {
      const { first, others } = await sshServers(process!);
      if (off === 'machine') return signalAll(process!, 'SIGSTOP');
      signal([first], 'SIGSTOP');
      signal(others, off === 'ssh' ? 'SIGSTOP' : 'SIGKILL');
    },
    mend: () => signalAll(process!, 'SIGCONT'),
    async idle() {
      const { first } = await sshServers(process!);
      for (let waitedMs = 0; ; waitedMs += 50) {
        const busy = (await namedProcesses(process!)).filter(
          ({ pid, name }) => pid !== first && /^sshd|^sh$/.test(name),
        );
        if (busy.length === 0) return;
        if (waitedMs > idleTimeoutMs)
          throw new Error(`${name} is still busy with ${busy.map((other) => other.name).join(', ')}`);
        await sleep(50);
      }
    },
  };
}

/** The server that listens is the node's first process, whatever its number; and there is one for each connection. */
async function sshServers(node: ChildProcess): Promise<{ first: number; others: readonly number[] }> {
  const first = Number(await readFile(`/proc/${node.pid}/task/${node.pid}/children`, 'utf8'));
  const sshd = (await namedProcesses(node)).filter(({ name }) => name.startsWith('sshd'));
  return { first, others: sshd.map(({ pid }) => pid).filter((pid) => pid !== first) };
}

async function namedProcesses(node: ChildProcess): Promise<readonly { pid: number; name: string }[]> {
  const name = async (pid: number): Promise<string> =>
    (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')).trim();
  return Promise.all((await processesOf(node)).map(async (pid) => ({ pid, name: await name(pid) })));
}

async function signalAll(node: ChildProcess, name: NodeJS.Signals): Promise<void> {
  signal(await processesOf(node), name);
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids)
    try {
      process.kill(pid, name);
    } catch {
      // It has ended meanwhile.
    }
}

/** All processes of a node. */
async function processesOf({ pid: parent }: ChildProcess): Promise<readonly number[]> {
  const space = await readlink(`/proc/${parent}/ns/pid_for_children`);
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const spaces = await Promise.all(pids.map((pid) => readlink(`/proc/${pid}/ns/pid`).catch(() => null)));
  return pids.filter((_, index) => spaces[index] === space);
}

async function furnish(
  folder: string,
  address: string,
  { authorizedKey, sshd = [] }: NodesOptions,
): Promise<void> {
  const home = join(folder, 'home/deploy');
  await mkdir(join(home, '.ssh'), { recursive: true });
  await mkdir(join(folder, 'srv'));
  await mkdir(join(folder, 'cron/crontabs'), { recursive: true });
  const users = [deployUser, appUser];
  const lines = (line: (user: (typeof users)[number]) => string): string =>
    users.map((user) => `${line(user)}\n`).join('');
  const files: Readonly<Record<string, string>> = {
    'home/deploy/.ssh/authorized_keys': authorizedKey,
    passwd:
      (await readFile('/etc/passwd', 'utf8')) +
      lines(({ name, uid }) => `${name}:x:${uid}:${uid}::/home/${name}:/bin/sh`),
    group: (await readFile('/etc/group', 'utf8')) + lines(({ name, uid }) => `${name}:x:${uid}:`),
    shadow: lines(({ name }) => `${name}:*:19000:0:99999:7:::`),
    sudoers: [
      `${deployUser.name} ALL=(${appUser.name}) NOPASSWD: ALL`,
      `${deployUser.name} ALL=(root) NOPASSWD: ${rootPrograms.join(', ')}\n`,
    ].join('\n'),
    sshd_config: [
      `ListenAddress ${address}:${sshPort}`,
      `HostKey ${folder}/host_key`,
      'PidFile none',
      'UsePAM no',
      'PasswordAuthentication no',
      ...sshd,
      '',
    ].join('\n'),
  };
  for (const [path, text] of Object.entries(files)) await writeFile(join(folder, path), text);
  for (const path of ['cron.d', 'systemd']) await mkdir(join(folder, path));
  await chmod(join(folder, 'sudoers'), 0o440);
  for (const path of ['srv', 'home/deploy', 'home/deploy/.ssh', 'home/deploy/.ssh/authorized_keys'])
    await chown(join(folder, path), deployUser.uid, deployUser.uid);
  await makeKey(join(folder, 'host_key'));
}

/** What the user to log in as may do as root: to keep jobs in /etc/cron.d, and as units. */
const rootPrograms = ['tee', 'chmod', 'mv', 'rm', 'mkdir', 'systemctl'].map((name) => `/usr/bin/${name}`);

/** An Ed25519 key without a passphrase in `file`, its public half in `file.pub`. */
export const makeKey = (file: string): Promise<unknown> =>
  promisify(execFile)('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'lab', '-f', file]);

const bootTimeoutMs = 60_000;
const idleTimeoutMs = 30_000;
const endTimeoutMs = 10_000;

async function boot(
  folder: string,
  { address, through }: NodePlace,
  { diskBytes, own = [], first = sshServer }: NodesOptions,
): Promise<ChildProcess> {
  const [program, ...words] = [
    ...through,
    'setpriv',
    '--pdeathsig',
    'KILL',
    'unshare',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
  ];
  const parameters = [folder, process.execPath, `${diskBytes ?? ''}`, ...own];
  const child = spawn(program!, [...words, 'sh', '-euc', bootScript + first.script, 'sh', ...parameters], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr?.on('data', (text) => {
    complaint += text;
  });
  for (let waitedMs = 0; !(await answers(address)); waitedMs += 50) {
    if (child.exitCode !== null || waitedMs > bootTimeoutMs) {
      child.kill('SIGKILL');
      await first.cleanUp(folder);
      throw new Error(`the node in ${folder} did not start: ${complaint}${await sshdLog(folder)}`);
    }
    await sleep(50);
  }
  return child;
}

/**
 * What becomes the first process of the node. Mounts are seen by this node alone, and vanish with it; its processes are those of
 * one namespace, so that none of them outlives it.
 */
const bootScript = `
folder=$1
for file in passwd group shadow sudoers; do [ ! -e "/etc/$file" ] || mount --bind "$folder/$file" "/etc/$file"; done
if [ -n "$3" ]; then mount -t tmpfs -o size="$3",uid=${deployUser.uid},gid=${deployUser.uid} tmpfs /srv
else mount --bind "$folder/srv" /srv; fi
mount --bind "$folder/home" /home
chgrp crontab "$folder/cron/crontabs"
chmod 1730 "$folder/cron/crontabs"
mount --bind "$folder/cron" /var/spool/cron
mount -t tmpfs tmpfs /run
mkdir -m 755 /run/sshd
mount -t tmpfs -o mode=755 tmpfs /opt
: > ${nodeProgram}
mount --bind "$folder/cron.d" /etc/cron.d
mkdir -p /etc/systemd/system
mount --bind "$folder/systemd" /etc/systemd/system
mount --bind "$2" ${nodeProgram}
shift 3
for dir do
  mkdir -p "$folder/own$dir"
  cp -a "$dir/." "$folder/own$dir"
  mount --bind "$folder/own$dir" "$dir"
done
`;

const sshServer: FirstProcess = {
  script: 'exec /usr/sbin/sshd -D -E "$folder/sshd.log" -f "$folder/sshd_config"',
  cleanUp: async () => {},
};

const answers = (address: string): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: address, port: sshPort });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', () => settle(true));
    socket.once('error', () => settle(false));
    socket.once('close', () => settle(false));
    socket.setTimeout(5000, () => settle(false));
  });

const sshdLog = (folder: string): Promise<string> =>
  readFile(join(folder, 'sshd.log'), 'utf8').catch(() => '');
