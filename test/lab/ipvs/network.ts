import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { words } from '../../../src/commands/shell.ts';
import { failure } from '../../../src/core/errors.ts';
import type { Transport } from '../../../src/ports.ts';

/**
 * Two directors (`lb1`, `lb2`), two web servers (`web1`, `web2`) and a second client (`client2`), each a network
 * namespace on one bridge; the kernel's own namespace is the first client. Both directors have the same virtual addresses:
 * the first client reaches them through lb1, the second one through lb2.
 */
export const network = {
  directors: ['lb1', 'lb2'],
  real: { web1: '10.9.0.21', web2: '10.9.0.22' },
  /** Where answers come back through the director (NAT), and where they do not (direct routing). */
  virtual: { nat: '10.7.0.100', direct: '10.7.0.101' },
} as const;

/** Once in a kernel. */
export function makeNetwork(): void {
  if (existsSync('/run/netns/lb1')) return;
  run(`
    ip link add br0 type bridge
    for address in 10.9.0.1 10.8.1.1; do ip address add $address/24 dev br0; done
    ip link set br0 up
    mkdir -p /run/machines /run/mounts
    mount --bind /run/mounts /run/mounts
    mount --make-private /run/mounts
    join() {
      ip netns add "$1"
      ip link add "$1" type veth peer name eth0 netns "$1"
      ip link set "$1" master br0 up
      ip -n "$1" link set lo up
      ip -n "$1" link set eth0 up
      ip -n "$1" address add "$2/24" dev eth0
      mkdir -p "/run/machines/$1"
      : > "/run/mounts/$1"
      unshare --mount="/run/mounts/$1" mount --bind "/run/machines/$1" /run
    }
    join lb1 10.9.0.11; ip -n lb1 address add 10.8.1.11/24 dev eth0
    join lb2 10.9.0.12; ip -n lb2 address add 10.8.2.12/24 dev eth0
    join client2 10.9.0.2; ip -n client2 address add 10.8.2.1/24 dev eth0
    for director in lb1 lb2; do
      for address in ${network.virtual.nat} ${network.virtual.direct}; do ip -n $director address add $address/32 dev lo; done
      ip netns exec $director sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0
    done
    for web in ${Object.entries(network.real)
      .map((entry) => entry.join(':'))
      .join(' ')}; do
      name=\${web%:*}
      join $name \${web#*:}
      ip -n $name address add ${network.virtual.direct}/32 dev lo
      ip -n $name route add 10.8.1.0/24 via 10.9.0.11
      ip -n $name route add 10.8.2.0/24 via 10.9.0.12
    done
    ip route add ${network.virtual.nat} via 10.8.1.11 src 10.8.1.1
    ip route add ${network.virtual.direct} via 10.9.0.11 src 10.9.0.1
    ip -n client2 route add ${network.virtual.nat} via 10.8.2.12 src 10.8.2.1
    ip -n client2 route add ${network.virtual.direct} via 10.9.0.12 src 10.9.0.2
  `);
}

export const run = (script: string): string =>
  execFileSync('sh', ['-euc', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** On a machine of the network, which has a /run of its own. */
export const onMachine = (machine: string, script: string): string => run(machineScript(machine, script));

const machineScript = (machine: string, script: string, as: readonly string[] = []): string =>
  words('exec', ...entry(machine), ...as, 'sh', '-euc', script);

/** Into the machine's network, and its /run. */
const entry = (machine: string): readonly string[] => [
  'nsenter',
  `--net=/run/netns/${machine}`,
  `--mount=/run/mounts/${machine}`,
];

/** A program of a machine, which ends with this process at the latest. */
export const startOn = (machine: string, ...command: readonly string[]): ChildProcess =>
  spawn('nsenter', [...entry(machine).slice(1), 'setpriv', '--pdeathsig', 'KILL', ...command], {
    stdio: 'inherit',
  });

/** Passes connections on a machine on, from each address to the one after it, two by two. */
export async function startRelay(machine: string, ...addresses: readonly string[]): Promise<ChildProcess> {
  const relay = startOn(machine, process.execPath, program, ...addresses);
  const sockets = addresses.filter((address, i) => i % 2 === 0 && address.startsWith('/'));
  const last = addresses.at(-2)!;
  const listens = (): boolean =>
    last.startsWith('/')
      ? sockets.every((path) => existsSync(path))
      : onMachine(machine, 'cat /proc/net/tcp').includes(
          `:${Number(last.split(':')[1]).toString(16).toUpperCase().padStart(4, '0')} `,
        );
  for (let waitedMs = 0; !listens(); waitedMs += 50) {
    if (waitedMs > 20_000) throw new Error(`the relay on ${machine} did not start`);
    await sleep(50);
  }
  return relay;
}

const program = fileURLToPath(new URL('relay.mjs', import.meta.url));

export interface MachineTransport extends Transport {
  /** From now on the machine does not answer. */
  cut(machine: string): void;
}

/** Reaches machines of the network as SSH would: as root, or as the user that a host names. */
export function machineTransport(): MachineTransport {
  const local = localTransport({ become: null });
  const lost = new Set<string>();
  return {
    ...local,
    cut: (machine) => void lost.add(machine),
    async run(host, command, options) {
      if (lost.has(host.name))
        throw failure('NODE_UNREACHABLE', {
          node: host.name,
          address: host.address,
          reason: 'no route to host',
        });
      const as = host.user === null ? [] : ['setpriv', '--reuid', host.user, '--clear-groups'];
      return local.run(host, { ...command, script: machineScript(host.name, command.script, as) }, options);
    },
    connect: local.connect.bind(local),
    close: () => local.close(),
    counts: () => local.counts(),
  };
}
