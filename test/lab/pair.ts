import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { appendFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Sshd, startSshd } from '../adapters/transports/sshd.ts';
import { type HaproxyBackend, type RunningHaproxy, startHaproxy } from './haproxy.ts';
import { freePort } from './port.ts';

/** A machine of a pair: a network of its own, HAProxy, keepalived, and a way in over SSH. */
export interface PairMachine {
  readonly name: string;
  readonly haproxy: RunningHaproxy;
  /** As a config names it, for `host`. */
  readonly host: { readonly address: string; readonly port: number; readonly user: string };
  holds(): boolean;
  /** As if its plug was pulled. */
  kill(): Promise<void>;
}

export interface Pair {
  readonly ip: string;
  /** Where clients ask, from the network that they and the pair are in. */
  readonly url: string;
  /** What a program is run through to be in that network. */
  readonly inNetwork: readonly string[];
  readonly machines: readonly [PairMachine, PairMachine];
  stop(): Promise<void>;
}

export interface PairOptions {
  /** Unique among the pairs of a test, and short: networks are named for it. */
  readonly name: string;
  readonly folder: string;
  /** Of the operator, whose key is let in, and who then knows the machines. */
  readonly home: string;
  /** Of each machine's HAProxy. */
  readonly backends: readonly [readonly HaproxyBackend[], readonly HaproxyBackend[]];
}

const ip = '10.77.0.10';
/** Tracked by keepalived on each machine, as that sees it: 1 is a fault. */
export const trackFile = '/srv/fault';

/** Two machines and their clients, each in a network of its own, joined by a bridge; the first machine holds the address. */
export async function startPair({ name: id, folder, home, backends }: PairOptions): Promise<Pair> {
  const lan = `${id}${process.pid}-lan`;
  const stops: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of stops.toReversed()) await end();
  };
  try {
    await mkdir(folder);
    addNetwork(lan, stops);
    inside(lan, 'link', 'add', 'lan', 'type', 'bridge');
    inside(lan, 'addr', 'add', '10.77.0.254/24', 'dev', 'lan');
    inside(lan, 'link', 'set', 'lan', 'up');
    const machines: PairMachine[] = [];
    for (const [index, own] of backends.entries()) {
      const network = `${id}${process.pid}-lb${index + 1}`;
      addNetwork(network, stops);
      inside(
        lan,
        'link',
        'add',
        `lb${index + 1}`,
        'master',
        'lan',
        'type',
        'veth',
        'peer',
        'name',
        'eth0',
        'netns',
        network,
      );
      inside(lan, 'link', 'set', `lb${index + 1}`, 'up');
      inside(network, 'addr', 'add', `10.77.0.${index + 1}/24`, 'dev', 'eth0');
      inside(network, 'link', 'set', 'eth0', 'up');
      const name = `lb${index + 1}`;
      const dir = join(folder, name);
      await mkdir(dir);
      machines.push(await startMachine({ name, index, network, dir, home, backends: own }, stops));
      await until(() => machines[0]!.holds());
    }
    const [first, second] = machines;
    return {
      ip,
      url: `http://${ip}:8080`,
      inNetwork: ['ip', 'netns', 'exec', lan],
      machines: [first!, second!],
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface MachineOptions {
  readonly name: string;
  readonly index: number;
  readonly network: string;
  readonly dir: string;
  readonly home: string;
  readonly backends: readonly HaproxyBackend[];
}

async function startMachine(
  { name, index, network, dir, home, backends }: MachineOptions,
  stops: (() => unknown)[],
): Promise<PairMachine> {
  const haproxy = await startHaproxy({
    dir,
    socket: join(dir, 'socket'),
    frontendPort: await freePort(),
    defaults: [
      'retries 0',
      'no option redispatch',
      'timeout check 2s',
      'timeout client 90s',
      'timeout server 90s',
    ],
    frontend: [`bind *:8080 namespace ${network}`],
    backends,
  });
  stops.push(haproxy.stop);
  const sshd = await startWayIn({ network, dir, home });
  stops.push(sshd.stop);
  const address = `127.7.7.${index + 1}`;
  await appendFile(join(home, '.ssh/known_hosts'), `[${address}]:${sshd.port} ${sshd.hostKeys.ed25519}\n`);
  await writeFile(join(dir, 'keepalived.conf'), vrrp(name, join(dir, trackFile), 100 - index));
  const files = ['-f', 'keepalived.conf', '-p', 'pid', '-r', 'vrrp.pid', '-c', 'check.pid'];
  const words = files.map((word) => (word.startsWith('-') ? word : join(dir, word)));
  const keepalived = spawn('ip', ['netns', 'exec', network, 'keepalived', '-n', '-l', ...words], {
    stdio: 'ignore',
  });
  stops.push(() => killKeepalived(keepalived, dir));
  return {
    name,
    haproxy,
    host: { address, port: sshd.port, user: 'root' },
    holds: () => inside(network, '-o', '-4', 'addr', 'show', 'to', ip) !== '',
    async kill() {
      // What it had in flight is cut, rather than left without an answer; then nothing comes or goes any more.
      await haproxy.stop();
      inside(network, 'link', 'set', 'eth0', 'down');
      await Promise.all([killKeepalived(keepalived, dir), sshd.stop()]);
    },
  };
}

/** Commands over SSH run in the machine's network, and what they write to /srv stays in its folder. */
async function startWayIn({
  network,
  dir,
  home,
}: Pick<MachineOptions, 'network' | 'dir' | 'home'>): Promise<Sshd> {
  await mkdir(join(dir, 'srv'));
  const enter = join(dir, 'enter');
  await writeFile(enter, `mount --bind ${dir}/srv /srv\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n`);
  return startSshd(dir, [
    'PermitRootLogin yes',
    `AuthorizedKeysFile ${home}/.ssh/id_ed25519.pub`,
    `ForceCommand exec ip netns exec ${network} sh ${enter}`,
  ]);
}

const vrrp = (name: string, tracked: string, priority: number): string => `
global_defs {
  router_id ${name}
  vrrp_version 3
  vrrp_priority -20
}
vrrp_track_file site {
  file ${tracked}
  weight 0
  init_file 0
}
vrrp_instance front {
  state BACKUP
  nopreempt
  interface eth0
  virtual_router_id 51
  priority ${priority}
  advert_int 0.5
  virtual_ipaddress {
    ${ip}/24
  }
  track_file {
    site
  }
}
`;

async function killKeepalived(parent: ChildProcess, dir: string): Promise<void> {
  const pids = await Promise.all(
    ['vrrp.pid', 'check.pid', 'pid'].map((file) => readFile(join(dir, file), 'utf8').catch(() => '')),
  );
  for (const pid of [...pids.map(Number).filter((pid) => pid > 0), parent.pid!])
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended.
    }
}

function addNetwork(name: string, stops: (() => unknown)[]): void {
  execFileSync('ip', ['netns', 'add', name]);
  stops.push(() => execFileSync('ip', ['netns', 'del', name]));
  inside(name, 'link', 'set', 'lo', 'up');
}

const inside = (network: string, ...words: readonly string[]): string =>
  execFileSync('ip', ['-n', network, ...words], { encoding: 'utf8' });

/** Rejects after half a minute. */
export async function until(isSo: () => boolean): Promise<void> {
  for (let waitedMs = 0; !isSo(); waitedMs += 20) {
    if (waitedMs > 30_000) throw new Error('it did not come to that within half a minute');
    await sleep(20);
  }
}
