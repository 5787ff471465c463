/** What one director has: its table of virtual services and their real servers, and what was noted about them. */
export interface IpvsTable {
  /** Of the kernel: changes with each start of the machine. */
  readonly bootId: string;
  /** Whether persistent clients of a server of weight 0 go elsewhere too (`net.ipv4.vs.expire_quiescent_template`). */
  readonly expiresTemplates: boolean;
  /**
   * `net.ipv4.vs.conn_reuse_mode`: which connections count as ended once their client uses its port again, so that the new one
   * is balanced anew. 1: those that end both ways; 2: those of which one way is seen, too; 0, and before Linux 4.1: none.
   */
  readonly reuseMode: number;
  /** Whether any counts as ended that leads to a server of weight 0 (`net.ipv4.vs.expire_nodest_conn`). */
  readonly expiresConnections: boolean;
  readonly services: readonly IpvsService[];
}

/** A virtual service, called as `ipvsadm -S -n` calls it: `-t 192.0.2.1:80`, `-f 7`. */
export interface IpvsService {
  readonly service: string;
  /** For how long its clients stick to a server, in seconds; 0: they do not. */
  readonly persistentSeconds: number;
  /** Connections since it was made; null: that was not asked for. */
  readonly connections: number | null;
  readonly servers: readonly IpvsServer[];
}

export interface IpvsServer {
  /** `10.0.0.1:80`, `[fd00::1]:80`; port 0 for a firewall mark. */
  readonly address: string;
  /** Its method as `ipvsadm -S` writes it, such as `-m`: an edit without it would make it `-g`. */
  readonly forwarding: readonly string[];
  /** `-x 100 -y 50`, if it has them (and they were asked for): an edit without them would clear them. */
  readonly thresholds: readonly string[];
  readonly weight: number;
  /** Established connections; null: that was not asked for. */
  readonly active: number | null;
  readonly note: IpvsNote | null;
}

/** What a weight of 0 cannot say: whether the server is out, or in with that weight, and what it gets once it is in. */
export interface IpvsNote {
  readonly rotation: 'in' | 'out';
  readonly weight: number;
}

/** The heads of the sections that `ipvsTableOf` reads, in the output of one script. */
export const sections = {
  kernel: '== kernel',
  settings: '== settings',
  counts: '== counts',
  thresholds: '== thresholds',
  totals: '== totals',
  notes: '== notes',
} as const;

/** Throws if it is not what ipvsadm 1.31 writes (ipvsadm(8)). Counts, thresholds and totals may be left out. */
export function ipvsTableOf(output: string): IpvsTable {
  const [bootId = '', ...numbers] = linesOf(output, sections.kernel);
  const [expiresTemplates = 0, expiresConnections = 0, reuseMode = 0] = numbers.map(Number);
  if (!/^[\da-f-]{36}$/.test(bootId)) throw new Error(`no boot id: ${shown(bootId)}`);
  const notes = new Map(linesOf(output, sections.notes).map(noteOf));
  const settings = linesOf(output, sections.settings).map(settingOf);
  const numbersOf = (name: 'counts' | 'thresholds' | 'totals'): Numbers | null =>
    output.split('\n').includes(sections[name]) ? numbersIn(linesOf(output, sections[name])) : null;
  const [counts, thresholds, totals] = [numbersOf('counts'), numbersOf('thresholds'), numbersOf('totals')];
  const serverOf = ({ service, flags }: Setting, address: string): IpvsServer => {
    const [upper = 0, lower = 0] = thresholds?.(service, address) ?? [];
    return {
      address,
      forwarding: without(flags, '-w'),
      thresholds: upper + lower === 0 ? [] : ['-x', String(upper), '-y', String(lower)],
      weight: Number(wordAfter(flags, '-w')),
      active: counts && mustHave(counts(service, address)?.at(-2), `${service} ${address}`),
      note: notes.get(noteName(service, address)) ?? null,
    };
  };
  return {
    bootId,
    expiresTemplates: expiresTemplates > 0,
    expiresConnections: expiresConnections > 0,
    reuseMode,
    services: settings
      .filter(({ address }) => address === null)
      .map(({ service, flags }) => ({
        service,
        persistentSeconds: Number(wordAfter(flags, '-p') ?? 0),
        connections: totals && mustHave(totals(service, null)?.[0], service),
        servers: settings.flatMap((one) =>
          one.service === service && one.address !== null ? [serverOf(one, one.address)] : [],
        ),
      })),
  };
}

/** The file that holds the note about a server. */
export const noteName = (service: string, address: string): string =>
  `${service} ${address}`.replaceAll(' ', '_');

/** The lines of a section that are not empty. */
export function linesOf(output: string, head: string): readonly string[] {
  const lines = output.split('\n');
  const start = lines.indexOf(head);
  if (start < 0) throw new Error(`no section ${head.slice(3)}: ${shown(output)}`);
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => line.startsWith('== '));
  return rest.slice(0, end < 0 ? undefined : end).filter((line) => line !== '');
}

/** A line of `ipvsadm -S -n`: `-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 100`. */
interface Setting {
  readonly service: string;
  /** Null: it is the service's own. */
  readonly address: string | null;
  /** All that follows. */
  readonly flags: readonly string[];
}

function settingOf(line: string): Setting {
  const [, service, address = null, flags = ''] =
    /^-[Aa] (-(?:t|u|-sctp-service) \S+|-f \d+(?: -6)?)(?: -r (\S+))? (.*\S)\s*$/.exec(line) ?? [];
  return { service: mustHave(service, line), address, flags: flags.split(/\s+/) };
}

const wordAfter = (flags: readonly string[], name: string): string | undefined =>
  flags.includes(name) ? flags[flags.indexOf(name) + 1] : undefined;

const without = (flags: readonly string[], name: string): readonly string[] =>
  flags.filter((flag, i) => flag !== name && flags[i - 1] !== name);

/** What stands in the line of a service (address null) or of a server, from left to right. */
type Numbers = (service: string, address: string | null) => readonly number[] | undefined;

/** Of a table of `ipvsadm -L -n`. */
function numbersIn(lines: readonly string[]): Numbers {
  const rows = new Map<string, readonly number[]>();
  let service = '';
  for (const line of lines) {
    const [, protocol, name, six = '', rest = ''] =
      /^(TCP|UDP|SCTP|FWM) +(\S+)( IPv6)?(.*)$/.exec(line) ?? [];
    const [, address, more = ''] = /^ {2}-> (\S+:\d+) (.*)$/.exec(line) ?? [];
    if (protocol !== undefined)
      service = `${flagOf[protocol as keyof typeof flagOf]} ${name}${six === '' ? '' : ' -6'}`;
    if (protocol !== undefined) rows.set(service, wholeNumbers(rest));
    else if (address !== undefined) rows.set(`${service} ${address}`, wholeNumbers(more));
  }
  return (wanted, address) => rows.get(address === null ? wanted : `${wanted} ${address}`);
}

const flagOf = { TCP: '-t', UDP: '-u', SCTP: '--sctp-service', FWM: '-f' } as const;

const wholeNumbers = (text: string): readonly number[] =>
  text
    .split(/\s+/)
    .filter((word) => /^\d+$/.test(word))
    .map(Number);

/** `-t_192.0.2.1:80_10.0.0.1:80 out 100`; one that was cut off while it was written says nothing. */
function noteOf(line: string): readonly [string, IpvsNote | null] {
  const [, name = '', rotation, weight] = /^(\S+) (in|out) (\d+)$/.exec(line) ?? [];
  return [
    name,
    rotation === undefined ? null : { rotation: rotation as 'in' | 'out', weight: Number(weight) },
  ];
}

function mustHave<T>(value: T | undefined, where: string): T {
  if (value === undefined) throw new Error(`${shown(where)} cannot be read`);
  return value;
}

const shown = (text: string): string => JSON.stringify(text.slice(0, 80));
