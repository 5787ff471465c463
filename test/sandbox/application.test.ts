import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ApplicationSettings, applicationFiles } from '../../src/sandbox/application.ts';
import { createRepository, demoVersions } from '../../src/sandbox/repository.ts';
import { freePort } from '../../src/sandbox/sandbox.ts';
import { stopApplication } from '../../src/sandbox/supervisor.ts';

const run = promisify(execFile);
const revision = 'a'.repeat(40);
let root: string;
let url: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'sluice-application-'));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  await mkdir(join(root, 'shared/tmp'), { recursive: true });
  await mkdir(join(root, 'shared/log'));
  await writeFile(join(root, 'shared/.env'), `HOST=127.0.0.1\nPORT=${port}\n`);
});

afterEach(async () => {
  await stopApplication(join(root, 'shared'));
  await rm(root, { recursive: true });
});

describe('the application', () => {
  test('answers as its release once restart has ended', async () => {
    await restart('20260101000001', { version: 1, bootMs: 0, greeting: 'Hello' });
    expect(await (await fetch(`${url}/`)).text()).toBe('Hello from release 20260101000001 version 1\nend\n');
    const health = await fetch(`${url}/health`);
    expect(health.status).toBe(200);
    expect(await health.text()).toBe(`release 20260101000001 revision ${revision}\nend\n`);
    expect((await fetch(`${url}/nothing`)).status).toBe(404);
  });

  test('keeps answering as the old release until it is restarted', async () => {
    await restart('20260101000001', { version: 1, bootMs: 0, greeting: 'Hello' });
    await unpack('20260101000002', { version: 2, bootMs: 0, greeting: 'Hello' });
    expect(await (await fetch(`${url}/`)).text()).toContain('version 1');
    await restartIn('20260101000002');
    expect(await (await fetch(`${url}/`)).text()).toContain('version 2');
  });

  test('answers 500 on /health without a greeting', async () => {
    await restart('20260101000003', { version: 3, bootMs: 0 });
    expect((await fetch(`${url}/health`)).status).toBe(500);
    expect((await fetch(`${url}/`)).status).toBe(200);
  });
});

describe('restart', () => {
  test('takes as long as the application boots', async () => {
    const startedMs = performance.now();
    await restart('20260101000001', { version: 1, bootMs: 700, greeting: 'Hello' });
    expect(performance.now() - startedMs).toBeGreaterThan(700);
    expect((await fetch(`${url}/`)).status).toBe(200);
  });

  test('answers the requests in flight before the old process ends', async () => {
    await restart('20260101000001', { version: 1, bootMs: 0, greeting: 'Hello' });
    const slow = await fetch(`${url}/slow?ms=800`);
    await restart('20260101000002', { version: 2, bootMs: 0, greeting: 'Hello' });
    const body = await slow.text();
    expect(body).toMatch(
      /^piece 0 of release 20260101000001\n(?:piece . of release 20260101000001\n){7}piece 8 of release 20260101000001\nend\n$/,
    );
    expect(await (await fetch(`${url}/`)).text()).toContain('version 2');
  });

  test('fails when the new release ends at once', async () => {
    await unpack('20260101000004', { version: 4, bootMs: 0 });
    await writeFile(
      join(root, 'releases/20260101000004/server.mjs'),
      "console.error('no room'); process.exit(7);\n",
    );
    await expect(restartIn('20260101000004')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /^the application ended with status 7: see log\/application\.log, which ends with\n(.*\n)*no room\n$/,
      ),
    });
  });

  test('is not misled by the process id of an application that is gone', async () => {
    await restart('20260101000001', { version: 1, bootMs: 0, greeting: 'Hello' });
    process.kill(Number(await readFile(join(root, 'shared/tmp/application.pid'), 'utf8')), 'SIGKILL');
    await restart('20260101000002', { version: 2, bootMs: 0, greeting: 'Hello' });
    expect(await (await fetch(`${url}/`)).text()).toContain('version 2');
  });
});

test('the application is gone once it was stopped', async () => {
  await restart('20260101000001', { version: 1, bootMs: 0, greeting: 'Hello' });
  await stopApplication(join(root, 'shared'));
  await expect(fetch(url)).rejects.toThrow();
});

describe('the repository', () => {
  test('has a tag for each version, the same commits wherever it is made', async () => {
    const [first, second] = [join(root, 'first.git'), join(root, 'second.git')];
    await createRepository(first, demoVersions());
    await createRepository(second, demoVersions());
    const commits = await git(first, 'log', '--format=%H %an %s %D');
    expect(await git(second, 'log', '--format=%H %an %s %D')).toBe(commits);
    expect(commits).toMatch(
      /^\w+ Sandbox Version 3 .*tag: v3.*\n\w+ Sandbox Version 2 tag: v2\n\w+ Sandbox Version 1 tag: v1\n$/,
    );
  });

  test('holds a version 3 whose settings lack what its check needs', async () => {
    const folder = join(root, 'repository');
    await createRepository(folder, demoVersions());
    expect(JSON.parse(await git(folder, 'show', 'v2:settings.json'))).toHaveProperty('greeting');
    expect(JSON.parse(await git(folder, 'show', 'v3:settings.json'))).not.toHaveProperty('greeting');
  });
});

const git = async (folder: string, ...words: string[]): Promise<string> =>
  (await run('git', words, { cwd: folder })).stdout;

/** Puts a release in place as a deploy does: its files, the revision, and the links into `shared`. */
async function unpack(id: string, settings: ApplicationSettings): Promise<void> {
  const release = join(root, 'releases', id);
  for (const [path, text] of Object.entries({ ...applicationFiles(settings), REVISION: `${revision}\n` })) {
    await mkdir(dirname(join(release, path)), { recursive: true });
    await writeFile(join(release, path), text);
  }
  for (const name of ['.env', 'tmp', 'log']) await symlink(`../../shared/${name}`, join(release, name));
}

const restartIn = (id: string): Promise<unknown> =>
  run(process.execPath, ['bin/restart.mjs'], { cwd: join(root, 'releases', id) });

async function restart(id: string, settings: ApplicationSettings): Promise<void> {
  await unpack(id, settings);
  await restartIn(id);
}
