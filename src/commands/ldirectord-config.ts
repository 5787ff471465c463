/** What sluice needs to know of a configuration of ldirectord(8). */
export interface LdirectordConfig {
  /** Null: there is none, so no server can be taken out. */
  readonly maintenanceDir: string | null;
  readonly virtuals: readonly LdirectordVirtual[];
}

export interface LdirectordVirtual {
  /** As `ipvsadm` calls it: `-t 192.0.2.1:80`, `-f 7`. */
  readonly service: string;
  /** Whether a server that is down stays in the table, with weight 0; else it is deleted, and its connections are cut. */
  readonly isQuiescent: boolean;
  /** How long a server that does not answer keeps its weight: as long as the checks that it must fail take. Null: it is not checked. */
  readonly noticesDeadWithinMs: number | null;
  readonly servers: readonly LdirectordServer[];
}

export interface LdirectordServer {
  /** As the configuration has it: `10.0.0.1:80`, or without a port for a firewall mark. */
  readonly address: string;
  readonly weight: number;
}

/**
 * Reads the lines that matter, and passes over all others: ldirectord itself says what is wrong with them. Ranges of
 * servers (`real=10.0.0.1->10.0.0.9:80`) stand for each of their addresses. Where nothing else is said servers are
 * deleted, which is what ldirectord 4.12 does, whatever its manual says.
 */
export function ldirectordConfigOf(text: string): LdirectordConfig {
  const lines = text.split('\n').map(lineOf);
  const ofAll = lines.filter(({ isInside }) => !isInside);
  const last: Settings = (name) => ofAll.findLast((line) => line.name === name)?.value;
  return {
    maintenanceDir: last('maintenancedir') ?? null,
    virtuals: lines.flatMap((line, i) =>
      /^virtual6?$/.test(line.name) ? [virtualOf(line, blockAfter(lines, i), last)] : [],
    ),
  };
}

interface Line {
  /** It belongs to the virtual service before it. */
  readonly isInside: boolean;
  readonly name: string;
  readonly value: string;
}

/** `name = value`; both are empty in a comment. */
function lineOf(line: string): Line {
  const [, space = '', name = '', value = ''] = /^(\s*)(\w+)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
  return { isInside: space !== '', name, value };
}

function blockAfter(lines: readonly Line[], start: number): readonly Line[] {
  const rest = lines.slice(start + 1);
  const end = rest.findIndex(({ isInside, name }) => !isInside && name !== '');
  return rest.slice(0, end < 0 ? undefined : end);
}

function virtualOf({ name, value }: Line, block: readonly Line[], ofAll: Settings): LdirectordVirtual {
  const last: Settings = (wanted) => block.findLast((line) => line.name === wanted)?.value;
  const isMark = /^\d+$/.test(value);
  const flag = isMark ? '-f' : last('protocol') === 'udp' ? '-u' : '-t';
  return {
    service: `${flag} ${value}${isMark && name === 'virtual6' ? ' -6' : ''}`,
    isQuiescent: (last('quiescent') ?? ofAll('quiescent')) === 'yes',
    noticesDeadWithinMs: noticesDeadWithinMs(value, last, ofAll),
    servers: block.filter((line) => /^real6?$/.test(line.name)).flatMap((line) => serversOf(line.value)),
  };
}

/** What is set last under this name. */
type Settings = (name: string) => string | undefined;

/**
 * So many checks in a row must fail, each at the end of its time, with a pause before each (ldirectord(8)). Only a
 * virtual service with a process of its own has a pause of its own.
 */
function noticesDeadWithinMs(virtual: string, own: Settings, ofAll: Settings): number | null {
  const limit = limits[own('checktype') ?? 'negotiate'];
  const service = own('service') ?? (/:(80|443)$/.test(virtual) ? 'http' : 'none');
  if (limit === undefined || (limit === negotiateLimit && service === 'none')) return null;
  const timeout = numberAmong([...limit.names.map(own), ...limit.names.map(ofAll)], limit.default);
  const pauseOfOwn = ofAll('fork') === 'yes' ? own('checkinterval') : undefined;
  const pause = numberAmong([pauseOfOwn, ofAll('checkinterval')], 10);
  return numberAmong([own('failurecount'), ofAll('failurecount')], 1) * (pause + timeout) * 1000;
}

/** In seconds; the second name stands in for the first. */
const connectLimit = { names: ['checktimeout', 'negotiatetimeout'], default: 5 };
const negotiateLimit = { names: ['negotiatetimeout', 'checktimeout'], default: 30 };

/** The time that a check may take, by its type, where that is all that counts. */
const limits: Readonly<Record<string, typeof connectLimit>> = {
  connect: connectLimit,
  external: connectLimit,
  'external-perl': connectLimit,
  negotiate: negotiateLimit,
};

const numberAmong = (values: readonly (string | undefined)[], otherwise: number): number =>
  Number(values.find((value) => value !== undefined) ?? otherwise);

/** `10.0.0.1:80 masq 100`, `10.0.0.1->10.0.0.9:80 gate`. */
function serversOf(text: string): readonly LdirectordServer[] {
  const [, first = '', last, port = '', weight = '1'] =
    /^(\[[^\]]+\]|[^\s:>]+?)(?:\s*->\s*([\d.]+))?(:\w+)?\s+\w+(?:\s+(\d+))?/.exec(text) ?? [];
  if (first === '') return [];
  return addresses(first, last).map((address) => ({ address: `${address}${port}`, weight: Number(weight) }));
}

/** Of a range, which differs in the last number. */
function addresses(first: string, last: string | undefined): readonly string[] {
  const number = (address: string): number => Number(address.split('.').at(-1));
  if (last === undefined) return [first];
  const from = number(first);
  const prefix = first.slice(0, first.lastIndexOf('.') + 1);
  return Array.from({ length: Math.max(0, number(last) - from + 1) }, (_, i) => `${prefix}${from + i}`);
}
