import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { unknownCapabilities } from '../../../src/adapters/balancers/external.ts';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { parseFields } from '../../../src/core/field.ts';
import { Secret } from '../../../src/core/secret.ts';
import type { Balancer, Transport } from '../../../src/ports.ts';
import { startBalancer } from '../../../src/sandbox/balancer.ts';
import {
  type Backend,
  type BalancerLab,
  balancerContract,
  startBackend,
  turn,
} from '../../contracts/balancer.ts';
import { type FlipLab, flipContract } from '../../contracts/balancer-flip.ts';

const script = new URL('../../../examples/external-balancer/balancer.mjs', import.meta.url).pathname;
const token = 'open sesame';

balancerContract(
  'a balancer that the example script drives',
  {
    drain: 'hard',
    sessions: 'exact',
    settleMs: 0,
    successor: { rotation: 'kept', requests: 'counted' },
    weights: 'server',
    counters: true,
    checksHealth: true,
  },
  startContractLab,
);

describe('a balancer with two pools that the example script drives', () => {
  let lab: FlipLab;
  let close: () => Promise<void>;
  beforeEach(async () => {
    const backends = [await startBackend('web1'), await startBackend('web2')];
    const sandbox = await startSandbox(backends, ['blue', 'green']);
    lab = {
      balancer: scripted(sandbox.adminUrl),
      members: 1,
      ask: async () => (await fetch(sandbox.url)).text(),
      restartMember: sandbox.restart,
    };
    // Only now it knows what the balancer can.
    await lab.balancer.observe();
    close = async () => {
      await sandbox.close();
      await Promise.all(backends.map((backend) => backend.close()));
    };
  });
  afterEach(() => close());

  flipContract(() => lab);

  test('a pool that it does not have is refused in its own words', async () => {
    await expect(lab.balancer.flip('red')).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { request: 'flip', answer: expect.stringContaining('there is no pool red') },
    });
  });
});

describe('a command', () => {
  const capabilities = JSON.stringify({ ...unknownCapabilities, weights: 'server' });
  const state = (...servers: readonly object[]) =>
    JSON.stringify({
      members: [
        {
          name: 'lb1',
          incarnation: '1',
          servers: servers.map((more) => ({
            node: 'web1',
            server: 'a',
            rotation: 'in',
            health: 'up',
            ...more,
          })),
        },
      ],
    });
  /** One that answers each verb with a text, and an unknown one with its request. */
  const answering = (answers: Readonly<Record<string, string>>, more: object = {}): Balancer => {
    const program = `
      let text = '';
      process.stdin.on('data', (chunk) => { text += chunk; }).on('end', () => {
        const answers = ${JSON.stringify({ capabilities, ...answers })};
        process.stdout.write(answers[JSON.parse(text).verb] ?? text);
      });`;
    return driver({ command: ['node', '-e', program], timeout: '60s', ...more }, ['web1']);
  };
  const reasonOf = async (balancer: Balancer) => (await balancer.observe()).members[0]!.unreachable;

  test('that has not said what the balancer can is trusted with nothing', async () => {
    const balancer = answering({ observe: state({}) });
    expect(balancer.capabilities).toEqual(unknownCapabilities);
    await balancer.observe();
    expect(balancer.capabilities).toEqual({ ...unknownCapabilities, weights: 'server' });
  });

  test('gets the whole request, and servers of other sites are passed over', async () => {
    const observe = state({}, { node: 'elsewhere', server: 'b' });
    const balancer = answering({ observe });
    expect((await balancer.observe()).servers).toEqual([
      {
        balancer: 'lb',
        member: 'lb1',
        node: 'web1',
        server: 'lb a',
        rotation: 'in',
        health: 'up',
        sessions: null,
        weight: 100,
      },
    ]);
    // It answers with its request, which says where it is wrong.
    await expect(balancer.change([turn('web1', 'out')])).rejects.toMatchObject({
      code: 'BALANCER_UNREACHABLE',
      details: {
        reason: expect.stringMatching(/^change: version: unknown setting; balancer: unknown setting; /),
      },
    });
  });

  test.each([
    ['nothing', '', 'observe: it wrote no answer'],
    ['garbage', 'Segmentation fault', 'observe: expected JSON, got "Segmentation fault"'],
    ['half an answer', state({}).slice(0, 40), 'observe: expected JSON, got "{\\"members\\":[{\\"name\\":'],
    ['two answers', state({}) + state({}), 'observe: expected JSON'],
    ['a list', '[]', 'observe: expected an object, got an empty list'],
    ['no members', '{"members":[]}', 'observe: members: expected at least 1 entry'],
    ['a wrong rotation', state({ rotation: 'IN' }), `members[0].servers[0].rotation: expected 'in' or`],
    ['a count that is a text', state({ sessions: '0' }), 'servers[0].sessions: expected a whole number'],
    ['a count below 0', state({ sessions: -1 }), 'servers[0].sessions: expected a whole number'],
    ['a weight above 100', state({ weight: 256 }), 'servers[0].weight: expected a number from 0 to 100'],
    ['an unknown word', state({ wieght: 1 }), 'servers[0].wieght: unknown setting; did you mean weight?'],
    ['one name twice', state({}, {}), 'members[0].servers: two are called a'],
    ['no incarnation', '{"members":[{"name":"a"}]}', 'members[0].incarnation: expected a text'],
    ['an error of another kind', '{"error":"no"}', 'error: expected an object, got "no"'],
    [
      'an error code of another kind',
      '{"error":{"code":"no","message":"no"}}',
      `error.code: expected 'refused'`,
    ],
  ])('that writes %s is unreachable, and the place is named', async (_, observe, reason) => {
    expect(await reasonOf(answering({ observe }))).toContain(reason);
  });

  test('that says wrongly what the balancer can is unreachable', async () => {
    const wrong = answering({ capabilities: '{"drain":"gentle"}' });
    expect(await reasonOf(wrong)).toMatch(
      /^capabilities: drain: expected 'soft' or 'hard' or 'both', got "gentle"/,
    );
    expect(wrong.capabilities).toEqual(unknownCapabilities);
  });

  test('that fails is unreachable with its status and what it said, but for secrets', async () => {
    const failing = driver({
      command: 'echo "no $TOKEN for you" >&2; exit 3',
      env: { TOKEN: new Secret('hunter2') },
    });
    expect(await reasonOf(failing)).toBe('capabilities: exit status 3 (no [secret] for you)');
    expect(await reasonOf(driver({ command: ['/nowhere/program'] }))).toMatch(/exit status 127 \(.*ENOENT/);
  });

  test('that hangs is ended once its time is over, with all that it started', async () => {
    const startMs = Date.now();
    expect(await reasonOf(driver({ command: 'sleep 60 & sleep 60', timeout: '200ms' }))).toBe(
      'capabilities: no answer within 200 ms',
    );
    expect(Date.now() - startMs).toBeLessThan(15_000);
  });

  test('that writes without end is ended', async () => {
    expect(await reasonOf(driver({ command: ['yes'] }))).toBe(
      'capabilities: it wrote more than 4194304 characters',
    );
  });

  test('that does not read its request may answer all the same', async () => {
    const deaf = driver({ command: `exec <&-; echo '{"error":{"code":"refused","message":"not today"}}'` });
    expect(await reasonOf(deaf)).toBe('it answered not today');
    await expect(deaf.change([turn('web1', 'out')])).rejects.toMatchObject({
      code: 'BALANCER_REFUSED',
      details: { answer: 'not today' },
    });
  });

  test('that takes a change and does not make it is found out', async () => {
    const balancer = answering({ observe: state({}), change: state({}), shift: state({ weight: 40 }) });
    await expect(balancer.change([turn('web1', 'out')])).rejects.toMatchObject({
      code: 'BALANCER_NOT_APPLIED',
      details: { server: 'lb a', wanted: 'out', seen: 'in' },
    });
    await expect(balancer.shift([{ node: 'web1', server: null, to: 50 }])).rejects.toMatchObject({
      code: 'BALANCER_NOT_APPLIED',
      details: { server: 'lb a', wanted: 'weight 50 %', seen: 'weight 40 %' },
    });
    const gone = answering({ observe: state({}), flip: state({}) });
    await expect(gone.flip('green')).rejects.toMatchObject({ code: 'BALANCER_NOT_APPLIED' });
  });

  test('of a pair of which one cannot be reached has the other one told, and that is said', async () => {
    const pair = (rotation: string) =>
      JSON.stringify({
        members: [
          { name: 'a', unreachable: 'no route to host' },
          {
            name: 'b',
            incarnation: '1',
            servers: [{ node: 'web1', server: 'w1', rotation, health: 'unchecked' }],
          },
        ],
      });
    const balancer = answering({ observe: pair('in'), change: pair('out') });
    await expect(balancer.change([turn('web1', 'out')])).rejects.toMatchObject({
      code: 'BALANCER_UNREACHABLE',
      details: { address: 'a', reason: 'no route to host' },
    });
    expect((await balancer.observe()).servers.map(({ server }) => server)).toEqual(['lb w1 @b']);
    const deaf = answering({ observe: pair('in'), change: pair('in') });
    await expect(deaf.change([turn('web1', 'out')])).rejects.toMatchObject({ code: 'BALANCER_NOT_APPLIED' });
  });
});

async function startSandbox(backends: readonly Backend[], pools: readonly string[] = []) {
  const dir = mkdtempSync(join(tmpdir(), 'balancer-'));
  const start = (ports: { port?: number; adminPort?: number } = {}) =>
    startBalancer({
      ...ports,
      token: new Secret(token),
      servers: backends.map(({ name, port }, i) => ({
        name,
        host: '127.0.0.1',
        port,
        ...(pools[i] === undefined ? {} : { pool: pools[i] }),
      })),
      stateFile: join(dir, 'state.json'),
      check: { path: '/health', intervalMs: 40, rise: 1, fall: 3 },
    });
  let running = await start();
  const { url, adminUrl } = running;
  const ports = { port: Number(new URL(url).port), adminPort: Number(new URL(adminUrl).port) };
  return {
    url,
    adminUrl,
    async restart() {
      await running.close();
      running = await start(ports);
    },
    stop: () => running.close(),
    async close() {
      await running.close();
      rmSync(dir, { recursive: true });
    },
  };
}

async function startContractLab(backends: readonly Backend[]): Promise<BalancerLab> {
  const sandbox = await startSandbox(backends);
  const { url, adminUrl } = sandbox;
  return {
    balancer: scripted(adminUrl),
    urls: [url],
    serverNamed: (name) => name,
    forNodes: (nodes) => scripted(adminUrl, { nodes }),
    withoutRights: () => scripted(adminUrl, { token: 'guessed' }),
    async takeOutByHand(node) {
      await fetch(`${adminUrl}/servers`, {
        method: 'PATCH',
        headers: { authorization: `Bearer ${token}` },
        body: JSON.stringify({ [node]: { rotation: 'out' } }),
      });
    },
    restartMember: sandbox.restart,
    stopMember: sandbox.stop,
    close: sandbox.close,
  };
}

const scripted = (
  url: string,
  { nodes = ['web1', 'web2'], ...more }: { readonly nodes?: readonly string[]; readonly token?: string } = {},
): Balancer =>
  driver(
    {
      command: ['node', script],
      timeout: '60s',
      env: { BALANCER_URL: url, BALANCER_TOKEN: new Secret(more.token ?? token) },
    },
    nodes,
  );

function driver(raw: Readonly<Record<string, unknown>>, nodes: readonly string[] = ['web1']): Balancer {
  const kind = balancerKinds.external;
  const options = parseFields(kind.options, raw);
  if (!options.ok) throw new Error(options.problems.join('\n'));
  return kind.create({ name: 'lb', options: options.value, nodes, transport: null as unknown as Transport });
}
