import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ssh2Transport } from '../../../src/adapters/transports/ssh2.ts';
import { words } from '../../../src/commands/shell.ts';
import { failure } from '../../../src/core/errors.ts';
import type { Transport } from '../../../src/ports.ts';
import { settingsOf } from '../../adapters/transports/settings.ts';
import { bootKernel, kernelLog } from '../kernel.ts';
import { deployUser, makeKey } from '../nodes.ts';

/**
 * Two directors, two web servers and a second client, joined by a bridge. The directors are kernels of their own, with
 * SSH; the others are network namespaces; the tests' own network is the first client. Both directors have the same
 * virtual addresses: the first client reaches them through lb1, the second one through lb2.
 */
export const network = {
  directors: { lb1: '10.9.0.11', lb2: '10.9.0.12' },
  real: { web1: '10.9.0.21', web2: '10.9.0.22' },
  /** Where answers come back through the director (NAT), and where they do not (direct routing). */
  virtual: { nat: '10.7.0.100', direct: '10.7.0.101' },
} as const;

export type Director = keyof typeof network.directors;

const folder = '/tmp/directors';

/** Once, with these directors running, in a network and with a /run and a /tmp that are the tests' own (test/lab/ipvs/run.ts). */
export async function makeNetwork(directors: readonly Director[]): Promise<void> {
  if (existsSync(folder)) return;
  await mkdir(folder);
  await Promise.all(['id', 'host_key'].map((name) => makeKey(join(folder, name))));
  await writeFile(join(folder, 'known_hosts'), await directorKeys());
  execute('sh', '-euc', networkScript);
  await Promise.all(directors.map(startDirector));
}

/** The lines of `known_hosts` for them. */
export const directorKeys = async (): Promise<string> => {
  const [type, key] = (await readFile(join(folder, 'host_key.pub'), 'utf8')).split(' ');
  return Object.values(network.directors)
    .map((address) => `${address} ${type} ${key}\n`)
    .join('');
};

const virtualAddresses = Object.values(network.virtual).join(' ');

const networkScript = `
  mkdir -p /run/netns
  ip link add br0 type bridge
  for address in 10.9.0.1 10.8.1.1; do ip address add $address/24 dev br0; done
  ip link set br0 up
  for director in ${Object.keys(network.directors).join(' ')}; do
    ip link add $director type veth peer name in-$director
    ip link set $director master br0 up
    ip link set in-$director up
  done
  join() {
    ip netns add "$1"
    ip link add "$1" type veth peer name eth0 netns "$1"
    ip link set "$1" master br0 up
    ip -n "$1" link set lo up
    ip -n "$1" link set eth0 up
    ip -n "$1" address add "$2/24" dev eth0
  }
  join client2 10.9.0.2
  ip -n client2 address add 10.8.2.1/24 dev eth0
  for web in ${Object.entries(network.real)
    .map((entry) => entry.join(':'))
    .join(' ')}; do
    name=\${web%:*}
    join $name \${web#*:}
    ip -n $name address add ${network.virtual.direct}/32 dev lo
    ip -n $name route add 10.8.1.0/24 via ${network.directors.lb1}
    ip -n $name route add 10.8.2.0/24 via ${network.directors.lb2}
  done
  ip route add ${network.virtual.nat} via 10.8.1.11 src 10.8.1.1
  ip route add ${network.virtual.direct} via ${network.directors.lb1} src 10.9.0.1
  ip -n client2 route add ${network.virtual.nat} via 10.8.2.12 src 10.8.2.1
  ip -n client2 route add ${network.virtual.direct} via ${network.directors.lb2} src 10.9.0.2
`;

/** A kernel with IPVS, an SSH server, a /srv of its own, and a user (`deploy`) who has no rights in it. It ends with the tests. */
async function startDirector(name: Director): Promise<void> {
  const own = join(folder, name);
  const address = network.directors[name];
  const number = name.slice(-1);
  await mkdir(own);
  const users = [{ name: 'root', uid: 0 }, deployUser];
  const system = (await readFile('/etc/passwd', 'utf8')).split('\n').slice(1);
  const files: Readonly<Record<string, readonly string[]>> = {
    // The machine's own root may have a profile that takes its time.
    passwd: [...users.map(({ name, uid }) => `${name}:x:${uid}:${uid}::/:/bin/sh`), ...system],
    shadow: users.map(({ name }) => `${name}:*:19000:0:99999:7:::`),
    sshd_config: [
      `ListenAddress ${address}`,
      `HostKey ${folder}/host_key`,
      `AuthorizedKeysFile ${folder}/id.pub /run/authorized_keys`,
      'PermitRootLogin yes',
      'StrictModes no',
      'PidFile none',
      'UsePAM no',
    ],
  };
  for (const [file, lines] of Object.entries(files))
    await writeFile(join(own, file), `${lines.join('\n')}\n`);
  const kernel = await bootKernel({
    folder: own,
    memory: '192M',
    modules: ['ip_vs', 'ip_vs_wrr'],
    // A device of the bridge, whose packets it takes and gives as they are.
    parameters: [`vec0:transport=raw,ifname=in-${name},depth=128,gro=1`],
    script: `
      ip link set vec0 up
      for address in ${address} 10.8.${number}.1${number}; do ip address add $address/24 dev vec0; done
      for address in ${virtualAddresses}; do ip address add $address/32 dev lo; done
      sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.vec0.send_redirects=0
      # By direct routing a client's port that is used again within two minutes would lead where it led before.
      sysctl -qw net.ipv4.vs.conn_reuse_mode=3
      mount -t tmpfs tmpfs /srv
      mkdir /run/sshd
      for file in passwd shadow; do mount --bind ${own}/$file /etc/$file; done
      /usr/sbin/sshd -D -e -f ${own}/sshd_config
    `,
  });
  for (let waitedMs = 0; !canLogIn(name); waitedMs += 100) {
    if (kernel.exitCode !== null || waitedMs > 60_000)
      throw new Error(`${name} did not start: ${await kernelLog(own)}`);
    await sleep(100);
  }
}

function canLogIn(name: Director): boolean {
  try {
    execFileSync('ssh', [...way(name), 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const way = (name: Director): readonly string[] => [
  '-F',
  'none',
  ...Object.entries(sshOptions).flatMap(([option, value]) => ['-o', `${option}=${value}`]),
  `root@${network.directors[name]}`,
];

/** One connection for all that is done on a director. */
const sshOptions = {
  IdentityFile: `${folder}/id`,
  UserKnownHostsFile: `${folder}/known_hosts`,
  ConnectTimeout: 1,
  ControlMaster: 'auto',
  ControlPath: `${folder}/%h`,
  ControlPersist: 'yes',
};

const execute = (...[program, ...args]: readonly string[]): string =>
  execFileSync(program!, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** As root. Meanwhile the web servers of this process go on answering. */
export const onDirector = async (name: Director, script: string): Promise<string> =>
  (await promisify(execFile)('ssh', [...way(name), words('sh', '-euc', script)], { timeout: 60_000 })).stdout;

/** What a program of a web server, or of the second client, is run through. */
export const through = (machine: string): readonly string[] => ['nsenter', `--net=/run/netns/${machine}`];

/** Passes connections of a web server or of the second client on, from an address to another one. */
export async function startRelay(machine: string, from: string, to: string): Promise<ChildProcess> {
  const [enter, ...words] = [...through(machine), process.execPath, program, from, to];
  const relay = spawn(enter!, words, { stdio: 'inherit' });
  for (let waitedMs = 0; !listens(machine, from); waitedMs += 20) {
    if (waitedMs > 60_000) throw new Error(`the relay on ${machine} did not start`);
    await sleep(20);
  }
  return relay;
}

const program = fileURLToPath(new URL('relay.mjs', import.meta.url));

const listens = (machine: string, address: string): boolean =>
  address.startsWith('/')
    ? existsSync(address)
    : execute(...through(machine), 'ss', '-tlnH').includes(`:${address.split(':')[1]} `);

export interface DirectorTransport extends Transport {
  /** From now on the director does not answer. */
  cut(director: Director): void;
}

/** Reaches directors through SSH: as root, or as the user that a host names. */
export async function directorTransport(): Promise<DirectorTransport> {
  const keys = [`${folder}/id`];
  const knownHosts = [`${folder}/known_hosts`];
  const ssh = await ssh2Transport(settingsOf({ user: 'root', keys, knownHosts }), { become: null });
  const lost = new Set<string>();
  return {
    ...ssh,
    cut: (director) => void lost.add(network.directors[director]),
    async run(host, command, options) {
      if (!lost.has(host.address)) return ssh.run(host, command, options);
      const { name: node, address } = host;
      throw failure('NODE_UNREACHABLE', { node, address, reason: 'no route to host' });
    },
    connect: ssh.connect.bind(ssh),
    close: () => ssh.close(),
    counts: () => ssh.counts(),
  };
}
