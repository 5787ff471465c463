import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Plan } from '../../src/core/plan.ts';
import type { CliResult } from '../lab/cli.ts';
import { eventsOfType } from '../lab/events.ts';
import { startGitServer } from '../lab/git-server.ts';
import { type Lab, startLab } from '../lab/lab.ts';
import { watchCommandLines } from '../lab/processes.ts';
import { createRepository } from '../lab/repository.ts';
import type { LabSite } from '../lab/site.ts';
import { treeOf } from '../lab/snapshot.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await startLab({ nodes: 3 });
});
afterAll(() => lab?.stop());

/** Whether all of `texts` stand in a text, one after the other. */
function placesOf(text: string, texts: readonly string[]): string {
  const places = texts.map((one) => text.indexOf(one));
  if (places.includes(-1)) return `without ${texts[places.indexOf(-1)]}`;
  return places.every((place, index) => index === 0 || place > places[index - 1]!)
    ? 'in order'
    : 'in disorder';
}

/** A server that takes notices and counts them. */
async function startSink() {
  const notices: string[] = [];
  const server = createServer((request, response) => {
    notices.push(request.url ?? '');
    response.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return { notices, url: `http://127.0.0.1:${port}/`, stop: () => server.close() };
}

test('S72: a dry run changes nothing anywhere and lists the steps of every node, on a new fleet and on a live one', async () => {
  const sink = await startSink();
  const notice = { use: 'webhook', url: sink.url };
  const marking = { run: 'touch /srv/s72/marked' };
  const site = await lab.site({
    name: 's72',
    nodes: 3,
    settings: {
      hooks: {
        'before:deploy': [notice, { run: `touch ${lab.folder}/marked`, on: 'operator' }],
        'before:activate': [marking],
        'after:deploy': [notice],
        failed: [notice],
      },
    },
  });
  const everything = async (): Promise<unknown> => [
    await Promise.all(site.nodes.map((node) => treeOf(node.srv))),
    await site.balancer!.told(),
    await site.locked(),
    await treeOf(lab.repository.folder),
    await stat(`${lab.folder}/marked`).catch(() => 'absent'),
    sink.notices.length,
  ];
  const expectUntouched = async (ref: string): Promise<void> => {
    const before = await everything();
    const dry = await site.sluice('deploy', 'production', '--ref', ref, '--dry-run');
    const shown = await site.sluice('plan', 'production', '--ref', ref);
    const json = await site.sluice('plan', 'production', '--ref', ref, '--json');
    for (const { exit, output } of [dry, shown, json]) expect(exit, output).toBe(0);
    const { plan } = JSON.parse(json.stdout) as { plan: Plan };
    const perNode = site.nodes.flatMap(({ name }) =>
      ['drain', 'hook', 'activate', 'check', 'enable'].map((kind) => `${kind} ${name}`),
    );
    const all = 'web1 web2 web3';
    expect(plan.steps.map(({ step }) => `${step.kind} ${step.nodes.join(' ')}`)).toEqual([
      ...[`hook ${all}`, `hook ${all}`, `build ${all}`, `prepare ${all}`],
      ...perNode,
      `hook ${all}`,
    ]);
    for (const { stdout } of [dry, shown])
      expect(
        placesOf(
          stdout,
          site.nodes.map(({ name }) => `set server web/${name} state drain`),
        ),
      ).toEqual('in order');
    expect(await everything()).toEqual(before);
  };

  await expectUntouched('good-1');
  expect(sink.notices).toHaveLength(0);
  await site.deployed('good-1');
  expect(sink.notices).toHaveLength(2);
  await expectUntouched('good-2');
  sink.stop();
});

const secret = 'S3NT1NEL-4711';

test('S73: a secret stands in no output, log, journal, command line or release but in the file that is meant to have it', async () => {
  const repository = await createRepository(join(lab.folder, 's73-repositories/site.git'), [
    { tag: 'good-1' },
    { tag: 'good-2' },
  ]);
  const server = await startGitServer(join(lab.folder, 's73-repositories'), {
    user: 'deploy',
    password: secret,
  });
  const sink = await startSink();
  const fails = { run: 'echo "the token is $DEPLOY_TOKEN" >&2; exit 9', on: 'operator' };
  const settings = {
    source: {
      git: `http://deploy:${secret}@${server.address}/site.git/.git`,
      ref: 'main',
      env: { DEPLOY_TOKEN: { env: 'DEPLOY_TOKEN' } },
      build: ['echo "building with $DEPLOY_TOKEN"', 'test -n "$DEPLOY_TOKEN"'],
    },
    linkedFiles: ['.env', 'token'],
    hooks: {
      'before:deploy': [
        { use: 'webhook', url: { env: 'NOTICE_URL' } },
        { run: 'echo "hook: $DEPLOY_TOKEN"', on: 'operator' },
      ],
    },
  };
  const site = await lab.site({ name: 's73', nodes: 2, repository, settings });
  for (const node of site.nodes) {
    await site.write(node, 'shared/token', secret);
    await chmod(site.path(node, 'shared/token'), 0o600);
  }
  const env = { DEPLOY_TOKEN: secret, NOTICE_URL: `${sink.url}${secret}` };
  const watch = watchCommandLines(secret);
  const deploy = (...flags: readonly string[]): Promise<CliResult> =>
    site.startWith(env, 'deploy', 'production', '--yes', ...flags).ended;

  const plan = await site.startWith(env, 'plan', 'production', '--ref', 'good-1').ended;
  const first = await deploy('--ref', 'good-1', '-vvv');
  expect(first.exit, first.output).toBe(0);
  expect(sink.notices).toEqual([`/${secret}`]);
  await site.configure({ hooks: { ...settings.hooks, 'before:enable': [fails] } });
  const failing = [await deploy('-vvv'), await deploy('--json')];
  await site.configure({
    source: { ...settings.source, build: ['echo "$DEPLOY_TOKEN"; exit 4'] },
    hooks: { failed: [fails] },
  });
  const unbuilt = [await deploy('-vvv'), await deploy('--json')];
  const status = await site.startWith(env, 'status', 'production', '--json').ended;
  const history = await site.startWith(env, 'history', 'production').ended;
  server.stop();
  await site.configure({
    source: { ...settings.source, git: `http://deploy:${secret}@127.0.0.1:9/site.git` },
  });
  const unreachable = await deploy();
  sink.stop();

  for (const { output } of [plan, first, ...failing, ...unbuilt, status, history, unreachable]) {
    expect(output).not.toContain(secret);
    expect(output).not.toContain(Buffer.from(`deploy:${secret}`).toString('base64'));
  }
  expect(await watch.stop()).toEqual([]);
  for (const node of site.nodes) {
    expect(await filesHolding(secret, site.path(node))).toEqual([site.path(node, 'shared/token')]);
    expect((await stat(site.path(node, 'shared/token'))).mode & 0o777).toBe(0o600);
  }
  expect(await filesHolding(secret, lab.home)).toEqual([]);
  expect([...failing, ...unbuilt, unreachable].map(({ exit }) => exit)).toEqual([1, 1, 1, 1, 2]);
});

/** The files below a folder that hold a text. */
const filesHolding = async (text: string, folder: string): Promise<readonly string[]> => {
  const found = promisify(execFile)('grep', ['-rlFa', '--', text, folder]);
  const { stdout } = await found.catch((error: { code: number; stdout: string }) => {
    if (error.code !== 1) throw error;
    return error;
  });
  return stdout.split('\n').filter((line) => line !== '');
};

test('S74: what ends differently has another exit status, or another code in the report', async () => {
  const site = await lab.site({ name: 's74', nodes: 3 });
  const quick = { checks: site.checks({ timeout: '6s' }) };
  await site.configure(quick);
  const ended = async (run: Promise<CliResult>): Promise<string> => {
    const result = await run;
    const report = eventsOfType(result, 'run-ended')[0]?.report;
    return `${result.exit} ${report?.outcome ?? '-'} ${report?.failure?.code ?? '-'}`;
  };

  expect(await ended(site.startDeploy('good-1', '--json').ended)).toBe('0 done -');
  expect(await ended(site.startDeploy('good-1', '--json').ended)).toBe('0 nothing to do -');
  expect(await ended(site.startDeploy('no-such-ref', '--json').ended)).toBe('2 refused REF_UNKNOWN');
  expect(await ended(site.startDeploy('broken', '--json').ended)).toBe('1 rolled back CHECK_TIMEOUT');
  expect(await ended(site.startDeploy('badrestart', '--json').ended)).toBe('1 rolled back COMMAND_FAILED');

  await site.configure({ ...quick, source: { git: lab.repository.folder, build: ['sh build.sh'] } });
  expect(await ended(site.startDeploy('badbuild', '--json').ended)).toBe('1 rolled back BUILD_FAILED');

  await site.configure({ ...quick, linkedFiles: ['.env', 'absent.yml'] });
  expect(await ended(site.startDeploy('good-2', '--json').ended)).toBe('2 refused PREFLIGHT');
  await site.configure(quick);
  await site.balancer!.command('set server web/web3 state maint');
  expect(await ended(site.startDeploy('good-2', '--json').ended)).toBe('2 refused PLAN_UNSAFE');
  await site.balancer!.command('set server web/web3 state ready');

  await site.configure({ ...quick, keepRelease: 3, deployTo: 'srv/x' });
  const invalid = await site.startDeploy('good-2').ended;
  expect(invalid.exit).toBe(2);
  expect(invalid.stderr).toMatch(/keepRelease: unknown setting.*keepReleases/);
  expect(invalid.stderr).toMatch(/deployTo: expected .*"srv\/x"/);
  expect(await site.start('deploy', 'produktion', '--yes').ended).toMatchObject({ exit: 2 });
  expect(await site.start('deploy', 'production', '--no-such-flag').ended).toMatchObject({ exit: 2 });
  expect(await site.start('no-such-command').ended).toMatchObject({ exit: 2 });

  await site.configure({ ...quick, onFailure: 'halt' });
  await site.setEnv(site.node('web2'), { FAILS: 'good-2' });
  expect(await ended(site.startDeploy('good-2', '--json').ended)).toBe('3 needs a person CHECK_TIMEOUT');
});

test.for([
  { point: 'before:deploy', ends: '1 rolled back' },
  { point: 'before:activate', ends: '1 rolled back' },
  { point: 'after:check', ends: '1 rolled back' },
  { point: 'after:deploy', ends: '3 needs a person' },
])('S74: an exception in a hook at $point is a failure', async ({ point, ends }) => {
  const site = await lab.site({
    name: `s74-${point.replace(':', '-')}`,
    nodes: 1,
    settings: { servingMin: 0 },
  });
  const first = await site.deployed('good-1');
  await withThrowingHook(site, point);
  const run = await site.deploy('good-2', '--json');
  const { report } = eventsOfType(run, 'run-ended')[0]!;
  expect(`${run.exit} ${report.outcome}`, run.output).toBe(ends);
  expect(report.failure).toMatchObject({
    code: 'HOOK_FAILED',
    message: expect.stringContaining('undefined variable'),
  });
  expect(await site.served()).toEqual(await site.live());
  if (point !== 'after:deploy') expect(await site.current(site.node('web1'))).toBe(first);
  expect(await site.locked()).toEqual([]);
});

async function withThrowingHook(site: LabSite, point: string): Promise<void> {
  await rm(join(site.folder, 'sluice.config.json'));
  const hook = "() => { throw new ReferenceError('undefined variable'); }";
  const text = `export default { ...${JSON.stringify(site.usual)}, hooks: { '${point}': [${hook}] } };\n`;
  await writeFile(join(site.folder, 'sluice.config.ts'), text);
}
