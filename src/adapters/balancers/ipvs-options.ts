import { isIP } from 'node:net';
import {
  describe,
  type Field,
  type Fields,
  flag,
  integer,
  mapOf,
  oneOf,
  oneOrMore,
  optional,
  port,
  scalar,
  withDefault,
} from '../../core/field.ts';
import type { NodeName } from '../../core/node.ts';
import type { Host } from '../../ports.ts';
import { sshHost } from './ssh-host.ts';

/** What every kind has that is made of directors. */
export interface DirectorOptions {
  readonly services: readonly VirtualService[];
  /** Null: this machine is the director. */
  readonly hosts: readonly Host[] | null;
  readonly sudo: boolean;
  readonly servers: Readonly<Record<NodeName, string>>;
  readonly drain: 'hard' | 'soft';
}

export interface IpvsOptions extends DirectorOptions {
  readonly weight: number;
  readonly weights: Readonly<Record<NodeName, number>>;
  /** A file. */
  readonly save: string | null;
}

/** As a config calls it: `tcp 192.0.2.1:80`; and as ipvsadm does: `-t 192.0.2.1:80`. */
export interface VirtualService {
  readonly title: string;
  readonly words: string;
}

const service: Field<VirtualService> = scalar(
  "a virtual service, such as '192.0.2.1:80', 'udp 192.0.2.1:443', 'tcp [2001:db8::1]:80', 'fwmark 7' or 'fwmark 7 ipv6'",
  { type: 'string', pattern: '^((tcp|udp|sctp) )?\\S+:\\d+$|^fwmark \\d+( ipv6)?$' },
  (value) => (typeof value === 'string' ? serviceOf(value) : undefined),
);

function serviceOf(text: string): VirtualService | undefined {
  const [, mark, six = ''] = /^fwmark ([1-9]\d*)( ipv6)?$/.exec(text) ?? [];
  if (mark !== undefined) return { title: text, words: `-f ${mark}${six && ' -6'}` };
  const [, protocol = 'tcp', name = ''] = /^(?:(tcp|udp|sctp) )?(\S+)$/.exec(text) ?? [];
  const address = endpoint(name);
  return address === undefined
    ? undefined
    : { title: `${protocol} ${address}`, words: `${flagOf[protocol as keyof typeof flagOf]} ${address}` };
}

const flagOf = { tcp: '-t', udp: '-u', sctp: '--sctp-service' } as const;

/** `192.0.2.1:80` or `[2001:db8::1]:80`, as ipvsadm writes it. */
function endpoint(text: string): string | undefined {
  const [, v6, v4 = v6 ?? '', digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? [];
  const number = port.parse(Number(digits), '');
  if (!number.ok || isIP(v4) !== (v6 === undefined ? 4 : 6)) return undefined;
  return `${plainAddress(v4)}:${number.value}`;
}

/** An address as ipvsadm writes it before a port. */
const plainAddress = (address: string): string =>
  isIP(address) === 6 ? new URL(`http://[${address}]`).hostname : address;

/** An address, or one with a port; `realServer.parse` of a node's own address may fail, for it may be a host name. */
export const realServer: Field<string> = scalar(
  "an address such as '10.0.0.1', or '10.0.0.1:8080'",
  { type: 'string', minLength: 1 },
  (value) => {
    if (typeof value !== 'string') return undefined;
    return isIP(value) === 0 ? endpoint(value) : plainAddress(value);
  },
);

/** Nothing in it means anything to a shell. */
export const absoluteFile: Field<string> = scalar(
  'the absolute path of a file, of letters, digits and -_./',
  { type: 'string', pattern: '^/[A-Za-z0-9_./-]+$' },
  (value) => (typeof value === 'string' && /^\/[\w./-]+$/.test(value) ? value : undefined),
);

const weight = integer(1, 65_535);

export const directorOptions: Fields<DirectorOptions> = {
  services: describe(
    'The virtual services of the site, such as those of port 80 and of port 443; every node is a real server of each.',
    oneOrMore(service),
  ),
  hosts: describe(
    'The director, reached through SSH; a list if there are several: all are told, the one that stands by too.',
    optional(oneOrMore(sshHost), 'the machine on which sluice runs'),
  ),
  sudo: describe(
    'Whether to become root there through sudo, which must not ask. Else the login user must be root.',
    withDefault(flag, false, 'false'),
  ),
  servers: describe(
    'The address of a node as a real server, where it is not the one of the node; with a port, if the service has several of that address.',
    withDefault(mapOf(realServer, 'the name of a node'), {}),
  ),
  drain: describe(
    "What becomes of clients that stick to a server (persistent). 'hard': they too must go elsewhere once it is drained, which needs net.ipv4.vs.expire_quiescent_template=1 on the director; 'soft': they may keep coming while the node changes.",
    withDefault(oneOf(['hard', 'soft']), 'hard', 'hard'),
  ),
};

export const ipvsOptions: Fields<IpvsOptions> = {
  ...directorOptions,
  weight: describe(
    'The weight of a server that has its whole share: percentages count from it, and a server whose weight was 0 before gets it when it is put in.',
    withDefault(weight, 1),
  ),
  weights: describe(
    'The whole weight of a node, where it differs.',
    withDefault(mapOf(weight, 'the name of a node'), {}),
  ),
  save: describe(
    'A file on the director to which the table is written after each change, from which it is restored at a start: /etc/ipvsadm.rules on Debian. Without it a restart forgets what sluice did.',
    optional(absoluteFile),
  ),
};
