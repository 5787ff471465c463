import { randomBytes, randomInt } from 'node:crypto';
import { chmod, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { Secret } from '../core/secret.ts';
import { type RunningBalancer, startBalancer } from './balancer.ts';
import { createRepository, demoVersions } from './repository.ts';
import { generateKeyPair, startSshServer } from './ssh-server.ts';
import { stopApplication } from './supervisor.ts';

export interface SandboxOptions {
  /** Where everything is put; made here, or empty. It is readable for its owner alone. */
  readonly dir: string;
  readonly nodes: number;
}

export interface Sandbox {
  readonly dir: string;
  /** The text of `sluice.config.ts` in `dir`: the site `shop`, with one stage, `sandbox`. */
  readonly config: string;
  readonly nodes: readonly string[];
  /** Where the site is: the balancer's front. */
  readonly url: string;
  readonly adminUrl: string;
  readonly token: Secret;
  /** Stops servers and applications; the folder stays. */
  close(): Promise<void>;
}

/**
 * A whole site on this machine, on loopback ports and without root: nodes (each a real SSH server with a directory of
 * its own), a balancer in front of them, a git repository, and the config that ties them together. Nothing is
 * deployed yet. If a part does not start, nothing is left behind.
 */
export async function startSandbox({ dir, nodes: count }: SandboxOptions): Promise<Sandbox> {
  await makeFolder(dir);
  const started: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const stop of started.splice(0).reverse()) await stop();
  };
  try {
    const { token, publicKey } = await makeSecrets(dir);
    await createRepository(join(dir, 'repository'), demoVersions());
    const nodes: SandboxNode[] = [];
    for (let number = 1; number <= count; number++) {
      const node = await startNode(dir, `web${number}`, publicKey);
      nodes.push(node);
      started.push(node.close);
    }
    const balancer = await startFront(dir, nodes, token);
    started.push(balancer.close);
    const config = configOf(nodes, balancer);
    await writeFile(join(dir, 'known_hosts'), nodes.map(({ knownHost }) => knownHost).join(''));
    await writeFile(join(dir, 'sluice.config.ts'), config);
    const { url, adminUrl } = balancer;
    return { dir, config, nodes: nodes.map(({ name }) => name), url, adminUrl, token, close };
  } catch (error) {
    await close();
    await rm(dir, { recursive: true });
    throw error;
  }
}

async function makeFolder(dir: string): Promise<void> {
  if (!/^[\w@%+=:,./-]+$/.test(dir))
    throw new Error(`expected a folder whose path no shell changes, got ${dir}`);
  await mkdir(dir, { recursive: true });
  if ((await readdir(dir)).length > 0) throw new Error(`${dir} is not empty`);
  await chmod(dir, 0o700);
}

async function makeSecrets(dir: string): Promise<{ readonly token: Secret; readonly publicKey: string }> {
  const token = new Secret(randomBytes(24).toString('hex'));
  const { privateKey, publicKey } = generateKeyPair();
  await writeFile(join(dir, 'id_ed25519'), privateKey, { mode: 0o600 });
  await writeFile(join(dir, 'balancer.token'), `${token.reveal()}\n`, { mode: 0o600 });
  return { token, publicKey };
}

interface SandboxNode {
  readonly name: string;
  readonly sshPort: number;
  readonly applicationPort: number;
  readonly knownHost: string;
  readonly close: () => Promise<void>;
}

/** What every node calls its own, as machines of one fleet do: the directory of the site and the port it listens on. */
const deployTo = '/srv/shop';
const port = 8080;

async function startNode(dir: string, name: string, authorizedKey: string): Promise<SandboxNode> {
  const home = join(dir, 'nodes', name);
  const shared = join(home, 'srv/shop/shared');
  const applicationPort = await freePort();
  await mkdir(shared, { recursive: true });
  await writeFile(join(shared, '.env'), `HOST=127.0.0.1\nPORT=${applicationPort}\n`);
  const server = await startSshServer({
    hostKey: generateKeyPair().privateKey,
    authorizedKey,
    home,
    view: {
      path: { seen: deployTo, real: join(home, 'srv/shop') },
      port: { seen: port, real: applicationPort },
    },
  });
  return {
    name,
    sshPort: server.port,
    applicationPort,
    knownHost: `${server.knownHost}\n`,
    async close() {
      await stopApplication(shared);
      await server.close();
    },
  };
}

const startFront = (dir: string, nodes: readonly SandboxNode[], token: Secret): Promise<RunningBalancer> =>
  startBalancer({
    servers: nodes.map(({ name, applicationPort }) => ({ name, host: '127.0.0.1', port: applicationPort })),
    check: { path: '/health', intervalMs: 100, rise: 1, fall: 3 },
    token,
    stateFile: join(dir, 'balancer.json'),
  });

const configOf = (
  nodes: readonly SandboxNode[],
  { adminUrl }: RunningBalancer,
): string => `import { defineSite, file } from 'sluice';

export default defineSite({
  name: 'shop',
  source: { git: './repository' },
  deployTo: '${deployTo}',
  linkedDirs: ['log', 'tmp'],
  linkedFiles: ['.env'],
  nodes: [
${nodes.map(({ name, sshPort }) => `    { name: '${name}', address: '127.0.0.1', port: ${sshPort} },`).join('\n')}
  ],
  balancers: { edge: { kind: 'embedded', url: '${adminUrl}', token: file('./balancer.token') } },
  servingMin: ${nodes.length - 1},
  activate: [['node', 'bin/restart.mjs']],
  checks: [{ path: '/health', port: ${port}, expect: 'release {{release}}', attempts: 3, interval: '200ms' }],
  ssh: { user: 'deploy', keys: ['./id_ed25519'], knownHosts: ['./known_hosts'], config: false, agent: false },
  stages: { sandbox: {} },
});
`;

/**
 * Below the ports that systems give to outgoing connections: it must still be free when the application restarts. No
 * other sandbox gets it while this process runs, for each listens at its port's twin first.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(20_000, 20_000 + portsMax);
    const claim = await listen(port + portsMax);
    const probe = claim && (await listen(port));
    if (probe) {
      claim.unref();
      await new Promise((resolve) => probe.close(resolve));
      return port;
    }
    claim?.close();
  }
  throw new Error(`no free port was found between 20000 and ${20_000 + portsMax}`);
}

const portsMax = 5000;

/** Null: somebody else does. */
const listen = (port: number): Promise<Server | null> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(null));
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
