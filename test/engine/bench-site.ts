import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { onTestFinished } from 'vitest';
import { fileSpool } from '../../src/adapters/spool.ts';
import { strictCommand } from '../../src/commands/shell.ts';
import type { NodeCommand } from '../../src/core/command.ts';
import { failure } from '../../src/core/errors.ts';
import type { Event } from '../../src/core/event.ts';
import type { NodeName } from '../../src/core/node.ts';
import type { ServerState } from '../../src/core/observation.ts';
import type { Site } from '../../src/core/site.ts';
import { deploy, type RunRequest } from '../../src/engine/deploy.ts';
import type { Balancer, Http, Operator, Ports, Transport } from '../../src/ports.ts';
import { strategies } from '../../strategies/index.ts';
import { artifact } from '../commands/node-folder.ts';
import { names, node, revisionOf, site as siteOf } from '../core/fleet.ts';

/**
 * The real engine on nodes that are folders of this machine (each command's script is run by `sh` in its own), with a
 * balancer and a web server in memory. `before` may fail any call.
 */
export function benchSite(count: number, more: Partial<Site> = {}) {
  const root = mkdtempSync(join(tmpdir(), 'sluice-engine-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const site = siteOf(count, {
    deployTo: '/srv/shop',
    servingMin: 1,
    checks: [{ ...siteOf(1).checks[0]!, attemptsMax: 1, intervalMs: 1, timeoutMs: 500 }],
    drain: { timeoutMs: 300, onTimeout: 'put-back', enableTimeoutMs: 300, port: null },
    nodes: names(count).map((name) => node(name, { address: name })),
    ...more,
  });
  const folder = (name: NodeName, ...parts: readonly string[]): string =>
    join(root, name, 'srv/shop', ...parts);
  for (const { name } of [...site.nodes, ...site.witnesses])
    mkdirSync(join(root, name, 'srv'), { recursive: true });
  const events: Event[] = [];
  const servers = new Map<NodeName, Pick<ServerState, 'rotation' | 'health' | 'sessions' | 'weight'>>(
    names(count).map((name) => [name, { rotation: 'in', health: 'up', sessions: 0, weight: 100 }]),
  );
  const broken = new Set<NodeName>();
  const faults: {
    run: (name: NodeName, command: NodeCommand) => 'lost before' | 'lost after' | 'unreachable' | null;
    balancer: () => void;
    operator: Operator['run'];
  } = { run: () => null, balancer: () => {}, operator: async () => ({ status: 0, stdout: '', stderr: '' }) };

  const transport: Transport = {
    async run({ name }, command, options = {}) {
      const fault = faults.run(name, command);
      const lost = failure('OUTCOME_UNKNOWN', {
        node: name,
        command: command.summary,
        reason: 'connection reset',
      });
      if (fault === 'unreachable')
        throw failure('NODE_UNREACHABLE', { node: name, address: name, reason: 'no route to host' });
      if (fault === 'lost before') throw lost;
      const chunks: Uint8Array[] = [];
      for await (const chunk of options.stdin?.() ?? []) chunks.push(chunk);
      const script = strictCommand(command.script, null).replaceAll('/srv/', `${root}/${name}/srv/`);
      const { status, stdout, stderr } = spawnSync('sh', ['-c', script], {
        input: Buffer.concat(chunks),
        encoding: options.onStdout ? 'buffer' : 'utf8',
      }) as { status: number | null; stdout: Buffer | string; stderr: Buffer | string };
      if (fault === 'lost after') throw lost;
      if (options.onStdout) {
        options.onStdout(stdout as Buffer);
        return { status: status ?? -1, stdout: '', stderr: String(stderr) };
      }
      return {
        status: status ?? -1,
        stdout: String(stdout).replaceAll(`${root}/${name}/srv/`, '/srv/'),
        stderr: String(stderr),
      };
    },
    connect: () => Promise.reject(new Error('not used here')),
    close: () => Promise.resolve(),
    counts: () => ({ connections: 0, commands: 0 }),
  };
  const balancer: Balancer = {
    name: 'lb',
    hosts: [],
    capabilities: {
      drain: 'hard',
      sessions: 'exact',
      settleMs: 0,
      successor: { rotation: 'forgotten', requests: 'counted' },
      weights: 'none',
      flip: 'none',
      counters: false,
    },
    async observe() {
      faults.balancer();
      return {
        members: [{ balancer: 'lb', member: 'lb', unreachable: null, incarnation: '1', pool: null }],
        servers: [...servers].map(([name, state]) => ({
          balancer: 'lb',
          member: 'lb',
          node: name,
          server: `lb web/${name}`,
          ...state,
        })),
      };
    },
    async change(changes) {
      faults.balancer();
      for (const { node: name, to } of changes) servers.set(name, { ...servers.get(name)!, rotation: to });
    },
    shift: () => Promise.reject(new Error('not used here')),
    flip: () => Promise.reject(new Error('not used here')),
    count: () => Promise.reject(new Error('not used here')),
    describe: ({ node: name, to }) => `${name} ${to}`,
    close: () => Promise.resolve(),
  };
  const http: Http = {
    async request({ url }) {
      const name = new URL(url).hostname;
      return broken.has(name) && live(name) !== first
        ? { status: 500, body: 'broken' }
        : { status: 200, body: `release ${live(name)}` };
    },
  };
  const live = (name: NodeName): string | null => {
    try {
      return basename(readlinkSync(folder(name, 'current')));
    } catch {
      return null;
    }
  };
  let nowMs = Date.UTC(2026, 0, 14, 9, 30);
  const sleepers = new Set<Sleeper>();
  let isPassing = false;
  /** Time passes once all that could be done was done. A heartbeat would make it pass without end. */
  const letTimePass = async (): Promise<void> => {
    if (isPassing) return;
    isPassing = true;
    for (;;) {
      for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
      const due = [...sleepers].filter(({ isBeat }) => !isBeat).map(({ dueMs }) => dueMs);
      if (due.length === 0) break;
      nowMs = Math.max(nowMs, Math.min(...due));
      for (const { dueMs, wake } of [...sleepers]) if (dueMs <= nowMs) wake();
    }
    isPassing = false;
  };
  let first: string | null = null;
  const ports: Ports = {
    clock: {
      nowMs: () => nowMs,
      async sleep(ms, signal) {
        if (signal?.aborted) return;
        await new Promise<void>((resolve) => {
          const wake = (): void => void (sleepers.delete(sleeper) && resolve());
          const sleeper: Sleeper = { dueMs: nowMs + ms, isBeat: ms >= 10_000, wake };
          sleepers.add(sleeper);
          signal?.addEventListener('abort', wake, { once: true });
          void letTimePass();
        });
      },
    },
    random: { hex: () => String(nowMs++) },
    transport,
    balancers: site.balancers.length > 0 ? [balancer] : [],
    addresses: [],
    spool: fileSpool,
    source: {
      resolve: async (ref) => revisionOf(Number(ref)),
      compare: async () => ({ commits: [], behind: 0 }),
      build: async ({ revision }) => {
        const { bytes, digest } = artifact({ REVISION: `${revision}\n` });
        return {
          bytes: bytes.length,
          digest,
          read: async function* () {
            yield bytes;
          },
          discard: async () => {},
        };
      },
      describe: () => ['build'],
    },
    http,
    operator: {
      name: 'ada@desk',
      host: 'desk',
      run: (command, options) => faults.operator(command, options),
    },
    emit: (event) => events.push(event),
  };
  const signal = new AbortController();
  const request = (batch: number): RunRequest => ({
    site,
    strategy: strategies.rolling.create({ batch: [batch], hold: null }),
    nodes: null,
    decide: null,
    skipUnreachable: false,
    withoutQuorum: false,
    signal: signal.signal,
    confirm: async () => true,
  });
  return {
    site,
    ports,
    /** Ports of a process that is killed once a command is sent that `isLast`: it hears and does nothing more. */
    mortal(isLast: (command: NodeCommand) => boolean): {
      readonly ports: Ports;
      readonly died: Promise<void>;
    } {
      const nothing = new Promise<never>(() => {});
      let die = (): void => {};
      const died = new Promise<void>((resolve) => {
        die = resolve;
      });
      let isDead = false;
      return {
        died,
        ports: {
          ...ports,
          clock: {
            ...ports.clock,
            sleep: (ms, signal) =>
              isDead ? nothing : ports.clock.sleep(ms, signal).then(() => (isDead ? nothing : undefined)),
          },
          transport: {
            ...transport,
            run(host, command, options) {
              isDead ||= isLast(command);
              if (!isDead) return transport.run(host, command, options);
              die();
              return nothing;
            },
          },
        },
      };
    },
    events,
    servers,
    broken,
    faults,
    signal,
    live,
    request,
    deploy: (revision: number, batch = 1) => deploy({ ...request(batch), ref: String(revision) }, ports),
    /** A deploy that must work, from which the web server takes what works. */
    async deployed(revision: number): Promise<string> {
      const { exit, failure: reason } = await deploy({ ...request(1), ref: String(revision) }, ports);
      if (exit !== 0) throw new Error(reason?.message);
      nowMs += 60_000;
      first = live('web1');
      return first!;
    },
    lives: () => names(count).map(live),
    rotations: () => [...servers.values()].map(({ rotation }) => rotation),
    locked: () => names(count).filter((name) => existsSync(folder(name, '.sluice/lock'))),
    write(name: NodeName, file: string, text: string): void {
      mkdirSync(dirname(folder(name, file)), { recursive: true });
      writeFileSync(folder(name, file), text);
    },
    read: (name: NodeName, file: string) => readFileSync(folder(name, file), 'utf8'),
    exists: (name: NodeName, file: string) => existsSync(folder(name, file)),
    /** A new machine in its place. */
    rebuild: (name: NodeName) => rmSync(join(root, name, 'srv/shop'), { recursive: true, force: true }),
    remove: (name: NodeName, path: string) => rmSync(folder(name, path), { recursive: true }),
    pass(ms: number): void {
      nowMs += ms;
    },
    list: (name: NodeName, path: string) => readdirSync(folder(name, path)),
  };
}

interface Sleeper {
  readonly dueMs: number;
  readonly isBeat: boolean;
  wake(): void;
}
