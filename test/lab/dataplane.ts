import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { json } from 'node:stream/consumers';
import { ask } from './haproxy.ts';

export interface DataplaneOptions {
  /** The runtime API of the HAProxy that it stands beside. */
  readonly socket: string;
  readonly version: '2.9' | '3.0' | '3.4';
  readonly password: string;
  /** Map files, which it knows by the last part of their path. */
  readonly maps?: readonly string[];
}

export interface Dataplane {
  readonly url: string;
  /** The method and path of each question so far. */
  readonly questions: readonly string[];
  close(): Promise<void>;
}

/**
 * Stands for HAProxy's Data Plane API: it answers as the published specifications of v2 and v3 say, for the user `ops`,
 * with what the runtime API of a real HAProxy says.
 */
export async function startDataplane(options: DataplaneOptions): Promise<Dataplane> {
  const questions: string[] = [];
  const login = `Basic ${Buffer.from(`ops:${options.password}`).toString('base64')}`;
  const server = createServer(async (request, response) => {
    questions.push(`${request.method} ${request.url}`);
    const isKnown = request.headers.authorization === login;
    const { status, body } = isKnown
      ? await answerTo(options, request).catch((error: Error) => problem(500, error.message))
      : problem(401, 'unauthenticated for invalid credentials');
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    questions,
    async close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const ok = (body: unknown): Answer => ({ status: 200, body });
const problem = (code: number, message: string): Answer => ({ status: code, body: { code, message } });

async function answerTo(options: DataplaneOptions, request: IncomingMessage): Promise<Answer> {
  const { pathname, searchParams } = new URL(request.url!, 'http://dataplane');
  const major = options.version[0];
  const prefix = `/v${major}/services/haproxy`;
  if (!pathname.startsWith(prefix)) return problem(404, `path ${pathname} was not found`);
  const parts = pathname
    .slice(prefix.length + 1)
    .split('/')
    .map(decodeURIComponent);
  const body = request.method === 'PUT' ? ((await json(request)) as Readonly<Record<string, unknown>>) : null;
  const one = (value: unknown) => ok(major === '2' ? [value] : value);
  const [area, what] = parts;
  if (area === 'stats') return one({ runtimeAPI: options.socket, stats: await statsOf(options) });
  if (what === 'info') return one({ runtimeAPI: options.socket, info: await infoOf(options) });
  if (what === (major === '2' ? 'servers' : 'backends')) {
    const [backend, name] = major === '2' ? [searchParams.get('backend')!, parts[2]] : [parts[2]!, parts[4]];
    return serverAnswer(options, { backend, name, body });
  }
  const [map, key] = major === '2' ? [searchParams.get('map')!, parts[2]] : [parts[2]!, parts[4]];
  return mapAnswer(options, { map, key: key!, body, isSynced: searchParams.get('force_sync') === 'true' });
}

type Row = Readonly<Record<string, string>>;

async function table(socket: string, command: string, separator: string): Promise<readonly Row[]> {
  const lines = (await ask(socket, command)).trimEnd().split('\n');
  const at = lines.findIndex((line) => line.startsWith('# '));
  const columns = lines[at]!.slice(2).split(separator);
  return lines.slice(at + 1).map((line) => {
    const cells = line.split(separator);
    return Object.fromEntries(columns.map((column, i) => [column, cells[i]!]));
  });
}

async function statsOf({ socket }: DataplaneOptions): Promise<readonly unknown[]> {
  const rows = await table(socket, 'show stat -1 4 -1', ',');
  return rows.map(({ pxname, svname, ...row }) => ({
    type: 'server',
    backend_name: pxname,
    name: svname,
    stats: Object.fromEntries(
      Object.entries(row)
        .filter(([, value]) => value !== '')
        .map(([name, value]) => [name, /^\d+$/.test(value) ? Number(value) : value]),
    ),
  }));
}

async function infoOf({ socket }: DataplaneOptions): Promise<unknown> {
  const info = await ask(socket, 'show info');
  const value = (name: string) => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(info)![1]);
  return { pid: value('Pid'), uptime: value('Uptime_sec') };
}

interface ServerQuestion {
  readonly backend: string;
  readonly name: string | undefined;
  readonly body: Readonly<Record<string, unknown>> | null;
}

async function serverAnswer(
  options: DataplaneOptions,
  { backend, name, body }: ServerQuestion,
): Promise<Answer> {
  if (body !== null) {
    const { admin_state: state, weight } = body;
    const commands = [
      ...(typeof state === 'string' ? [`set server ${backend}/${name} state ${state}`] : []),
      ...(typeof weight === 'number' && options.version === '3.4'
        ? [`set server ${backend}/${name} weight ${weight}`]
        : []),
    ];
    const refused = (await ask(options.socket, commands.join(';'))).trim();
    if (refused !== '') return problem(404, refused);
  }
  const rows = await table(options.socket, 'show servers state', ' ');
  const servers = rows
    .filter((row) => row.be_name === backend)
    .map((row) => ({
      id: row.srv_id,
      name: row.srv_name!,
      address: row.srv_addr,
      port: Number(row.srv_port),
      admin_state: adminOf(Number(row.srv_admin_state)),
      operational_state: ['down', 'up', 'up', 'stopping'][Number(row.srv_op_state)],
      ...(options.version === '3.4'
        ? { uweight: Number(row.srv_uweight), iweight: Number(row.srv_iweight) }
        : {}),
    }));
  if (servers.length === 0) return problem(404, `backend ${backend} was not found`);
  if (name === undefined) return ok(servers);
  const found = servers.find((one) => one.name === name);
  return found ? ok(found) : problem(404, `server ${name} was not found`);
}

function adminOf(bits: number): 'ready' | 'drain' | 'maint' {
  if (bits & 0x23) return 'maint';
  return bits & 0x18 ? 'drain' : 'ready';
}

interface MapQuestion {
  readonly map: string;
  readonly key: string;
  readonly body: Readonly<Record<string, unknown>> | null;
  readonly isSynced: boolean;
}

async function mapAnswer(
  { socket, maps = [] }: DataplaneOptions,
  { map, key, body, isSynced }: MapQuestion,
): Promise<Answer> {
  const file = maps.find((one) => basename(one) === map);
  if (file === undefined) return problem(404, `map ${map} was not found`);
  if (body !== null) {
    const refused = (await ask(socket, `set map ${file} ${key} ${body.value}`)).trim();
    if (refused !== '') return problem(404, refused);
    if (isSynced) {
      const lines = readFileSync(file, 'utf8').split('\n');
      writeFileSync(
        file,
        lines.map((line) => (line.startsWith(`${key} `) ? `${key} ${body.value}` : line)).join('\n'),
      );
    }
  }
  const value = /value="([^"]*)"/.exec(await ask(socket, `get map ${file} ${key}`))?.[1];
  return value === undefined ? problem(404, `entry ${key} was not found`) : ok({ id: '0x1', key, value });
}
