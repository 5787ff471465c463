import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ask, type HaproxyServer, startHaproxy } from './haproxy.ts';
import { freePort } from './port.ts';

/** A real HAProxy in front of one site. What is asked here goes past sluice, straight to its runtime API. */
export interface LabBalancer {
  readonly socket: string;
  /** Where clients ask. */
  readonly url: string;
  /** Each server's status in HAProxy's own words, without its count of checks: `UP`, `DOWN`, `MAINT`, `DRAIN`. */
  rotation(): Promise<Readonly<Record<string, string>>>;
  /** Requests that each server has at this moment. */
  inFlight(): Promise<Readonly<Record<string, number>>>;
  /** What each server was told: its administrative state (a set of bits, 0 for none) and weight. */
  told(): Promise<Readonly<Record<string, string>>>;
  /** Requests that its frontend has taken since the start. */
  requests(): Promise<number>;
  /** As `systemctl reload haproxy` does: nobody is refused, and every server is in rotation again. */
  reload(): Promise<void>;
  /** For each request since the start that did not end well: the server that it was sent to, and HAProxy's reason. */
  spilled(): readonly Spilled[];
  command(line: string): Promise<string>;
  stop(): Promise<void>;
}

export interface Spilled {
  readonly server: string;
  /** The status that the client got and the first two letters of the termination state (HAProxy configuration manual 8.5). */
  readonly ending: string;
}

/** Servers of the backend `web`. */
export async function startBalancer(dir: string, behind: readonly HaproxyServer[]): Promise<LabBalancer> {
  await mkdir(dir);
  const { url, socket, reload, log, stop } = await startHaproxy({
    dir,
    socket: join(dir, 'socket'),
    frontendPort: await freePort(),
    global: ['log stderr format raw local0'],
    defaults: unforgiving,
    backends: [{ name: 'web', lines: checking, servers: behind }],
  });
  const command = (line: string): Promise<string> => ask(socket, line);
  return {
    socket,
    url,
    async rotation() {
      return Object.fromEntries(
        (await servers(command)).map((row) => [row.svname!, row.status!.replace(/ \d+\/\d+$/, '')]),
      );
    },
    async inFlight() {
      return Object.fromEntries((await servers(command)).map((row) => [row.svname!, Number(row.scur)]));
    },
    async told() {
      const [, header = '', ...rows] = (await command('show servers state')).trim().split('\n');
      const columns = header.replace('# ', '').split(' ');
      return Object.fromEntries(
        rows.map((row) => {
          const cell = (name: string): string => row.split(' ')[columns.indexOf(name)]!;
          return [cell('srv_name'), `${cell('srv_admin_state')} weight ${cell('srv_uweight')}`];
        }),
      );
    },
    async requests() {
      return Number((await stats(command)).find(({ svname }) => svname === 'FRONTEND')!.req_tot);
    },
    reload,
    spilled: () =>
      log()
        .map((line) => line.split(' '))
        .filter(([mark]) => mark === spilledMark)
        .map(([, server = '', ...ending]) => ({ server, ending: ending.join(' ') })),
    command,
    stop,
  };
}

const spilledMark = 'spilled';

/**
 * A request that fails at one server is never tried again or elsewhere: none that was spilled stays hidden. A process
 * that ends softly closes no idle connection before its next answer: a client may just be using it.
 */
const unforgiving = [
  'log global',
  'option dontlog-normal',
  `log-format "${spilledMark} %s %ST %ts"`,
  'option idle-close-on-response',
  'retries 0',
  'no option redispatch',
  'timeout check 2s',
  'timeout client 90s',
  'timeout server 90s',
];

const checking = [
  'balance roundrobin',
  'option httpchk GET /health',
  'default-server check inter 300ms fastinter 100ms rise 1 fall 3 weight 100',
];

type Row = Readonly<Record<string, string>>;

const servers = async (command: (line: string) => Promise<string>): Promise<readonly Row[]> =>
  (await stats(command)).filter(({ svname }) => svname !== 'FRONTEND' && svname !== 'BACKEND');

async function stats(command: (line: string) => Promise<string>): Promise<readonly Row[]> {
  const [header = '', ...rows] = (await command('show stat')).trim().split('\n');
  const columns = header.replace('# ', '').split(',');
  return rows.map((row) =>
    Object.fromEntries(row.split(',').map((value, index) => [columns[index] ?? '', value])),
  );
}
