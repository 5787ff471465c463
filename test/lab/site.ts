import { chown, mkdir, readdir, readFile, readlink, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type LabBalancer, startBalancer } from './balancer.ts';
import { type CliResult, type CliRun, runMsMax, startCli } from './cli.ts';
import { deployUser, type LabNode, sshPort } from './nodes.ts';
import type { WarmCli } from './warm-cli.ts';

export interface SiteOptions {
  /** Unique in the lab. */
  readonly name: string;
  readonly nodes: readonly LabNode[];
  /** Its repository. */
  readonly git: string;
  readonly home: string;
  readonly warm: WarmCli;
  /** The folder for its config and its balancer. */
  readonly folder: string;
  /** Of the application on each node and of the balancer; null: a site of files only, without balancer and checks. */
  readonly port: number | null;
  /** Whether `shared/` stands ready on each node. */
  readonly isSetUp: boolean;
  /** Settings beside the usual ones, or in their place. */
  readonly settings: Settings;
  /** Of each run of sluice; default: four minutes. */
  readonly timeoutMs?: number | undefined;
}

export type Settings = Readonly<Record<string, unknown>>;

/** A deploy stands in its hook until the gate opens, or for three minutes at most. */
export interface Gate {
  readonly hook: Settings;
  open(): Promise<void>;
  close(): Promise<void>;
}

/** A site of the lab: run sluice on it, and see past sluice what is so. */
export class LabSite {
  readonly name: string;
  readonly nodes: readonly LabNode[];
  readonly folder: string;
  readonly balancer: LabBalancer | null;
  /** Of the application on each node; null if there is none. */
  readonly port: number | null;
  /** As `sluice.config.json` has it. */
  readonly usual: Settings;
  readonly #options: SiteOptions;

  private constructor(options: SiteOptions, balancer: LabBalancer | null) {
    this.#options = options;
    this.name = options.name;
    this.nodes = options.nodes;
    this.folder = options.folder;
    this.balancer = balancer;
    this.port = options.port;
    this.usual = { ...usualSettings(options, balancer), ...options.settings };
  }

  static async create(options: SiteOptions): Promise<LabSite> {
    await mkdir(options.folder, { recursive: true });
    const { folder, port, nodes } = options;
    const balancer =
      port === null
        ? null
        : await startBalancer(
            join(folder, 'balancer'),
            nodes.map(({ name, address }) => ({ name, address, port })),
          );
    const site = new LabSite(options, balancer);
    await site.configure({});
    if (options.isSetUp) for (const node of nodes) await site.#setUp(node);
    return site;
  }

  /** Writes the config anew: the usual settings with `settings` in their place. */
  async configure(settings: Settings): Promise<void> {
    await writeFile(
      join(this.folder, 'sluice.config.json'),
      JSON.stringify({ ...this.usual, ...settings }, null, 2),
    );
  }

  /** The usual check with `settings` in place of its own. */
  checks(settings: Settings): readonly Settings[] {
    return checksOn(this.port, settings);
  }

  /** For a hook on the operator's machine. */
  gate(): Gate {
    const opened = join(this.folder, 'opened');
    return {
      hook: { run: `timeout 180 sh -c 'until [ -e ${opened} ]; do sleep 0.05; done'`, on: 'operator' },
      open: () => writeFile(opened, ''),
      close: () => rm(opened),
    };
  }

  /** In a process of its own, as users have it: to look at it, send it a signal, or run it beside another one. */
  start(...args: readonly string[]): CliRun {
    return this.startWith({}, ...args);
  }

  startWith(env: Readonly<Record<string, string>>, ...args: readonly string[]): CliRun {
    const { home, timeoutMs } = this.#options;
    return startCli(args, { cwd: this.folder, home, env, timeoutMs });
  }

  /** The same program to its end, in a process that has run it before. */
  sluice(...args: readonly string[]): Promise<CliResult> {
    const { warm, timeoutMs = runMsMax } = this.#options;
    return warm.run(args, { cwd: this.folder, timeoutMs });
  }

  /** As from another machine: with the operator's keys, and nothing else of what the others left at home. */
  elsewhere(...args: readonly string[]): Promise<CliResult> {
    return this.startWith({ HOME: homeElsewhere(this.#options.home) }, ...args).ended;
  }

  startDeploy(ref: string, ...flags: readonly string[]): CliRun {
    return this.start(...deployOf(ref), ...flags);
  }

  deploy(ref: string, ...flags: readonly string[]): Promise<CliResult> {
    return this.sluice(...deployOf(ref), ...flags);
  }

  rollback(...flags: readonly string[]): Promise<CliResult> {
    return this.sluice('rollback', 'production', '--yes', ...flags);
  }

  /** A deploy that must work. Returns its release. */
  async deployed(ref: string): Promise<string> {
    const { exit, output } = await this.deploy(ref);
    if (exit !== 0) throw new Error(`the deploy of ${ref} to ${this.name} ended with ${exit}:\n${output}`);
    return this.release();
  }

  /** A path below the site's deployTo on a node. */
  path(node: LabNode, ...parts: readonly string[]): string {
    return join(node.srv, this.name, ...parts);
  }

  node(name: string): LabNode {
    return this.nodes.find((node) => node.name === name)!;
  }

  read(node: LabNode, ...parts: readonly string[]): Promise<string | null> {
    return readFile(this.path(node, ...parts), 'utf8').catch(() => null);
  }

  /** As the deploy user would, and whole at once: somebody may be waiting for it. */
  async write(node: LabNode, path: string, text: string): Promise<void> {
    const parts = path.split('/');
    for (let depth = 1; depth < parts.length; depth++) await this.#mkdir(node, ...parts.slice(0, depth));
    const written = this.path(node, ...parts.slice(0, -1), `.${parts.at(-1)}-written`);
    await writeFile(written, text);
    await chown(written, deployUser.uid, deployUser.uid);
    await rename(written, this.path(node, path));
  }

  /** The application's settings on a node. */
  setEnv(node: LabNode, more: Readonly<Record<string, string>> = {}): Promise<void> {
    const env = { HOST: node.address, PORT: String(this.port ?? 0), ...more };
    const lines = Object.entries(env).map(([name, value]) => `${name}=${value}\n`);
    return this.write(node, 'shared/.env', lines.join(''));
  }

  /** The live release of a node, by its link; null if there is none. */
  async current(node: LabNode): Promise<string | null> {
    return readlink(this.path(node, 'current')).then(basename, () => null);
  }

  /** The live release of each node. */
  live(): Promise<Readonly<Record<string, string | null>>> {
    return this.#each((node) => this.current(node));
  }

  /** The one release that is live everywhere. */
  async release(): Promise<string> {
    const live = new Set(Object.values(await this.live()));
    const [release] = live;
    if (live.size !== 1 || !release)
      throw new Error(`not one release is live: ${JSON.stringify(await this.live())}`);
    return release;
  }

  /** The directories of releases on a node, oldest first. */
  async releases(node: LabNode): Promise<readonly string[]> {
    return (await readdir(this.path(node, 'releases')).catch(() => [])).sort();
  }

  /** Which nodes are locked. */
  async locked(): Promise<readonly string[]> {
    const locks = await this.#each((node) => this.read(node, '.sluice/lock'));
    return Object.keys(locks).filter((name) => locks[name] !== null);
  }

  /** The lines of `revisions.log` on a node. */
  async log(node: LabNode): Promise<readonly string[]> {
    return ((await this.read(node, 'revisions.log')) ?? '').split('\n').filter((line) => line !== '');
  }

  /** Each server's status in HAProxy's own words. */
  async rotation(): Promise<Readonly<Record<string, string>>> {
    return this.balancer ? this.balancer.rotation() : {};
  }

  /** What a node itself answers; null if it does not. */
  async ask(
    node: LabNode,
    path = '/health',
  ): Promise<{ readonly status: number; readonly body: string } | null> {
    try {
      const response = await fetch(`http://${node.address}:${this.port}${path}`, {
        headers: { connection: 'close' },
        signal: AbortSignal.timeout(20_000),
      });
      return { status: response.status, body: await response.text() };
    } catch {
      return null;
    }
  }

  /** The release that each node's application says it is. */
  served(): Promise<Readonly<Record<string, string | null>>> {
    return this.#each(
      async (node) => /^release (\d+) /.exec((await this.ask(node))?.body ?? '')?.[1] ?? null,
    );
  }

  async stop(): Promise<void> {
    await this.balancer?.stop();
  }

  async #setUp(node: LabNode): Promise<void> {
    await this.#mkdir(node);
    for (const path of ['shared', 'shared/log', 'shared/tmp', 'releases']) await this.#mkdir(node, path);
    await this.setEnv(node);
  }

  async #mkdir(node: LabNode, ...parts: readonly string[]): Promise<void> {
    await mkdir(this.path(node, ...parts), { recursive: true });
    await chown(this.path(node, ...parts), deployUser.uid, deployUser.uid);
  }

  async #each<T>(read: (node: LabNode) => Promise<T>): Promise<Readonly<Record<string, T>>> {
    return Object.fromEntries(
      await Promise.all(this.nodes.map(async (node) => [node.name, await read(node)] as const)),
    );
  }
}

export const homeElsewhere = (home: string): string => `${home}-elsewhere`;

const deployOf = (ref: string): readonly string[] => ['deploy', 'production', '--ref', ref, '--yes'];

const usualSettings = ({ name, nodes, git, port }: SiteOptions, balancer: LabBalancer | null): Settings => ({
  name,
  source: { git },
  deployTo: `/srv/${name}`,
  linkedDirs: ['log', 'tmp'],
  linkedFiles: ['.env'],
  nodes: nodes.map(({ name, address }) => ({ name, address })),
  ssh: { user: deployUser.name, port: sshPort },
  stages: { production: {} },
  ...(balancer === null
    ? {}
    : {
        balancers: { lb1: { kind: 'haproxy', socket: balancer.socket, backend: 'web' } },
        activate: [['bin/restart']],
        checks: checksOn(port),
        drain: { timeout: '15s' },
      }),
});

const checksOn = (port: number | null, settings: Settings = {}): readonly Settings[] => [
  {
    path: '/health',
    port,
    expect: 'release {{release}} revision {{revision}}',
    interval: '100ms',
    timeout: '10s',
    ...settings,
  },
];
