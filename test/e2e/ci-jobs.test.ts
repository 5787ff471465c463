import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultLoaders } from 'cosmiconfig';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isPlainObject } from '../../src/core/field.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { runMsMax } from '../lab/cli.ts';

/** The jobs of the examples, each shell command as the service would run it, on a site of this machine. */
const root = new URL('../..', import.meta.url).pathname;
const folder = join(root, 'examples/ci');
const text = (file: string): string => readFileSync(join(folder, file), 'utf8');
type Fields = Readonly<Record<string, unknown>>;
const yaml = (file: string): Fields => defaultLoaders['.yaml'](file, text(file)) as Fields;

let sandbox: Sandbox;
let base: string;
beforeAll(async () => {
  base = mkdtempSync(join(tmpdir(), 'sluice-ci-'));
  sandbox = await startSandbox({ dir: join(base, 'site'), nodes: 2 });
  const bin = join(sandbox.dir, 'node_modules/.bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync(join(root, 'dist/bin/sluice.js'), join(bin, 'sluice'));
  mkdirSync(join(base, 'bin'));
  writeFileSync(join(base, 'bin/npm'), '#!/bin/sh\n[ "$*" = ci ]\n');
  chmodSync(join(base, 'bin/npm'), 0o755);
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(base, 'key')]);
});
afterAll(async () => {
  await sandbox?.close();
  rmSync(base, { recursive: true, force: true });
});

interface Ran {
  readonly status: number | null;
  readonly output: string;
}

/** As runners do: a shell without profiles, that stops at the first failure, with the job's variables alone. */
async function run(
  script: string,
  env: Readonly<Record<string, string>> = {},
  cancelAt: RegExp | null = null,
): Promise<Ran> {
  const home = join(base, 'home');
  mkdirSync(home, { recursive: true });
  // The machine of a job is thrown away; here its agent must be ended, by the shell, which has to outlive the last command.
  const isEnding = script.includes('ssh-agent');
  const guarded = isEnding ? `trap 'kill "$SSH_AGENT_PID"' EXIT\n${script.replace(/^exec /m, '')}` : script;
  const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', guarded], {
    cwd: sandbox.dir,
    timeout: runMsMax,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: `${join(base, 'bin')}:${process.env.PATH}`,
      HOME: home,
      LANG: 'C.UTF-8',
      CI: 'true',
      ...env,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => {
      output += part;
      if (cancelAt?.test(output) && !child.killed) child.kill('SIGTERM');
    });
  const [status] = (await once(child, 'close')) as [number | null];
  return { status, output };
}

/** The example names a stage of its own. */
const here = (script: string): string => script.replace(/\bproduction\b/g, 'sandbox');

const commit = (ref: string): string =>
  execFileSync('git', ['-C', join(sandbox.dir, 'repository'), 'rev-parse', ref], { encoding: 'utf8' }).trim();

const list = (value: unknown): readonly Fields[] => (value as Fields[]).filter(isPlainObject);

describe('GitHub Actions', () => {
  const action = yaml('github/action.yml');
  const steps = list((action.runs as Fields).steps);
  const inputs = action.inputs as Readonly<Record<string, Fields>>;

  /** A step with its inputs filled in; the service allows expressions in `env`, not in what a shell reads. */
  function perform(
    name: string,
    given: Readonly<Record<string, string>>,
    env: Readonly<Record<string, string>>,
  ): Promise<Ran> {
    const step = steps.find((one) => one.name === name)!;
    const filled = Object.entries(step.env as Readonly<Record<string, string>>).map(([key, value]) => {
      const input = /^\$\{\{ inputs\.([\w-]+) \}\}$/.exec(value)![1]!;
      return [key, given[input] ?? String(inputs[input]!.default)] as const;
    });
    return run(String(step.run), { GITHUB_ACTIONS: 'true', ...Object.fromEntries(filled), ...env });
  }

  test('scripts hold no expressions, and name only inputs that there are', () => {
    for (const step of steps) {
      expect(step.run).not.toContain('${{');
      expect(step.shell).toBe('bash');
    }
    const named = [...text('github/action.yml').matchAll(/inputs\.([\w-]+)/g)].map(([, name]) => name!);
    expect(new Set(named)).toEqual(new Set(Object.keys(inputs)));
  });

  test('the workflow hands over inputs that the action has, and deploys one at a time after an approval', () => {
    const jobs = yaml('github/deploy.yml').jobs as Readonly<Record<string, Fields>>;
    for (const job of Object.values(jobs)) {
      const own = list(job.steps).find(({ uses }) => uses === './.github/actions/sluice')!;
      expect(Object.keys(inputs)).toEqual(expect.arrayContaining(Object.keys(own.with as Fields)));
      for (const step of list(job.steps))
        expect(Object.keys(step).some((key) => ['uses', 'run'].includes(key))).toBe(true);
    }
    expect(jobs.deploy).toMatchObject({
      needs: 'plan',
      environment: 'production',
      concurrency: { 'cancel-in-progress': false },
    });
  });

  test('plan, then deploy: the log has groups, and the summary says how it ended', async () => {
    const files = { GITHUB_STEP_SUMMARY: join(base, 'summary.md'), GITHUB_ENV: join(base, 'env') };
    const login = await perform(
      'Log in',
      { 'ssh-key': readFileSync(join(base, 'key'), 'utf8'), 'known-hosts': 'web1 ssh-ed25519 AAAA' },
      files,
    );
    const agent = /SSH_AGENT_PID=(\d+)/.exec(
      existsSync(files.GITHUB_ENV) ? readFileSync(files.GITHUB_ENV, 'utf8') : '',
    );
    expect(login, login.output).toMatchObject({ status: 0, output: '' });
    expect(agent).not.toBeNull();

    const given = { stage: 'sandbox', ref: commit('v1') };
    const planned = await perform('Plan', given, files);
    expect(planned.status, planned.output).toBe(0);
    // The runner takes these lines away, and hides what they name.
    expect(planned.output).toBe(`::add-mask::${sandbox.token.reveal()}\n`);
    expect(readFileSync(files.GITHUB_STEP_SUMMARY, 'utf8')).toMatch(/^### Plan of the `deploy of sandbox`\n/);
    const deployed = await perform('Deploy', given, files);
    expect(deployed.status, deployed.output).toBe(0);
    expect(deployed.output).toMatch(/^::group::1\/\d+ build /m);
    expect(readFileSync(files.GITHUB_STEP_SUMMARY, 'utf8')).toContain('### `deploy of sandbox`: done\n');
  });
});

describe('GitLab CI', () => {
  const jobs = yaml('gitlab/.gitlab-ci.yml') as Readonly<Record<string, Fields>>;
  const script = (job: string): string =>
    here([...(jobs.default!.before_script as string[]), ...(jobs[job]!.script as string[])].join('\n'));

  test('plan, then deploy: sections are folded up; the same plan again is nothing to do', async () => {
    const env = {
      GITLAB_CI: 'true',
      CI_COMMIT_SHA: commit('v2'),
      DEPLOY_KEY: join(base, 'key'),
      KNOWN_HOSTS: join(sandbox.dir, 'known_hosts'),
    };
    const planned = await run(script('plan'), env);
    expect(planned.status, planned.output).toBe(0);
    expect(planned.output).toContain('### Plan of the `deploy of sandbox`');
    expect(planned.output).not.toContain(sandbox.token.reveal());
    const deployed = await run(script('deploy'), env);
    expect(deployed.status, deployed.output).toBe(0);
    expect(deployed.output).toMatch(/section_start:\d+:sluice_1\[collapsed=true\]\r/);
    const again = await run(script('deploy'), env);
    expect(again, again.output).toMatchObject({
      status: 0,
      output: expect.stringContaining('Nothing to do'),
    });
  });

  test('one deploy of the stage at a time, started by hand', () => {
    expect(jobs.deploy).toMatchObject({
      resource_group: 'production',
      interruptible: false,
      needs: ['plan'],
    });
    expect(list(jobs.deploy!.rules)[0]).toMatchObject({ when: 'manual' });
  });
});

describe('Jenkins', () => {
  const commands = [...text('jenkins/Jenkinsfile').matchAll(/\bsh '([^']*)'/g)].map(([, command]) =>
    here(command!),
  );

  test('a plan that no longer fits is refused; a deploy that is cancelled ends safely, and the next one goes on', async () => {
    const env = { GIT_COMMIT: commit('v3'), JENKINS_URL: 'http://ci.example.org/' };
    const [install, plan, , deploy] = commands;
    expect(await run(install!, env)).toMatchObject({ status: 0 });
    expect(await run(plan!, env)).toMatchObject({
      status: 0,
      output: expect.stringContaining('Plan of the deploy of sandbox'),
    });
    const other = await run('./node_modules/.bin/sluice rollback sandbox --yes', env);
    expect(other.status, other.output).toBe(0);
    const refused = await run(deploy!, env);
    expect(refused).toMatchObject({
      status: 2,
      output: expect.stringContaining('is not what would be done now'),
    });
    expect(refused.output).toMatch(/web1 had \d{14} \(\w{7}\), and has \d{14} \(\w{7}\) now/);

    const next = { ...env, GIT_COMMIT: commit('v2') };
    expect((await run(plan!, next)).status).toBe(0);
    const cancelled = await run(deploy!, next, /\d drain web1/);
    expect(cancelled, cancelled.output).toMatchObject({ status: 143 });
    expect((await run(plan!, next)).status).toBe(0);
    expect(await run(deploy!, next)).toMatchObject({ status: 0 });
  });
});
