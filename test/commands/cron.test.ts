import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { endCronJobs, putCron, takeCron } from '../../src/commands/cron.ts';
import { cronBlock } from '../../src/commands/crontab.ts';
import { inspect } from '../../src/commands/inspect.ts';
import { acquireLock } from '../../src/commands/lock.ts';
import { switchTo } from '../../src/commands/switch.ts';
import type { CommandLine } from '../../src/core/command.ts';
import type { CronSettings } from '../../src/core/site.ts';
import { node, release } from '../core/fleet.ts';
import { nodeFolder } from './node-folder.ts';

/** In the place of the real `crontab`, of which a test must not touch this machine's: it keeps the lines in a file. */
const fakeCrontab = `#!/bin/sh
case $1 in
  -l) [ -e "$CRONTAB" ] || { echo "no crontab for $LOGNAME" >&2; exit 1; }; cat "$CRONTAB" ;;
  -r) rm "$CRONTAB" ;;
  -) cat > "$CRONTAB.new" && mv "$CRONTAB.new" "$CRONTAB" ;;
esac
`;

let bin: string;
const saved = { ...process.env };
beforeEach(() => {
  bin = mkdtempSync(join(tmpdir(), 'sluice-crontab-'));
  writeFileSync(join(bin, 'crontab'), fakeCrontab, { mode: 0o755 });
  process.env.PATH = `${bin}:${process.env.PATH}`;
  process.env.CRONTAB = join(bin, 'lines');
});
afterEach(() => {
  Object.assign(process.env, saved);
  rmSync(bin, { recursive: true, force: true });
});

const cron = (...runs: readonly CommandLine[]): CronSettings => ({
  node: 'web1',
  role: null,
  jobs: runs.map((run) => ({ schedule: '*/5 * * * *', run })),
  file: null,
  keptIn: 'crontab',
  onRunning: 'wait',
  timeoutMs: 1000,
  hold: 'never',
  fence: null,
});

/** A node with a live release, on which `run-1` has the lock. */
function cronNode(...runs: readonly CommandLine[]) {
  const folder = nodeFolder({ cron: cron(...runs) });
  const lock = { run: 'run-1', holder: 'a', host: 'b', reason: 'c', startedAt: 'd', intent: null };
  folder.run(acquireLock(node('web1'), folder.site, lock, []));
  mkdirSync(join(folder.dir, 'releases', release(1).id));
  expect(folder.run(switchTo(folder.fence(), folder.site, release(1))).status).toBe(0);
  return {
    folder,
    foreign: (text: string) => writeFileSync(process.env.CRONTAB!, text),
    lines: () => (existsSync(process.env.CRONTAB!) ? readFileSync(process.env.CRONTAB!, 'latin1') : null),
    put: () => folder.run(putCron(folder.fence(), folder.site)),
    take: () => folder.run(takeCron(folder.fence())),
    state: () => folder.run(inspect(node('web1'), folder.site)).result.cron,
    /** As cron does: the command of the n-th line of the block. */
    begin: (n: number) => {
      const line = cronBlock(folder.site).filter((text) => !text.startsWith('#'))[n - 1]!;
      return spawn('sh', ['-c', line.split(' ').slice(5).join(' ')], { stdio: 'ignore' });
    },
  };
}

test('the block stands behind the lines of others, which stay byte for byte, put twice or taken off', () => {
  const { foreign, lines, put, take, state, folder } = cronNode(['true']);
  const others = 'MAILTO=ops@example.org\n\n# caf\u00e9 100\\% \\n $HOME `x`\n  0 1 * * *\tbackup  %in\n';
  foreign(others);
  const before = lines();
  expect(state()).toEqual({ block: 'none', since: null, running: [] });
  expect(put().stderr).toBe('');
  const block = cronBlock(folder.site)
    .map((line) => `${line}\n`)
    .join('');
  expect(lines()).toBe(before + block);
  expect(state()).toEqual({ block: 'as set', since: 'run-1', running: [] });
  expect(put().status).toBe(0);
  expect(lines()).toBe(before + block);
  expect(take().status).toBe(0);
  expect(lines()).toBe(before);
  expect(state().block).toBe('none');
  expect(take().status).toBe(0);
});

test('two sites of one user that change it at the same time both have their block', async () => {
  const sites = [cronNode(['true']), cronNode(['false'])].map(({ folder }) => folder);
  const slow = fakeCrontab.replace('cat "$CRONTAB" ;;', 'cat "$CRONTAB"; sleep 0.3 ;;');
  writeFileSync(join(bin, 'crontab'), slow, { mode: 0o755 });
  writeFileSync(process.env.CRONTAB!, '0 0 * * * mine\n');
  const ended = await Promise.all(sites.map((folder) => folder.start(putCron(folder.fence(), folder.site))));
  expect(ended).toEqual([0, 0]);
  const lines = readFileSync(process.env.CRONTAB!, 'utf8').split('\n');
  for (const { site } of sites) expect(lines).toEqual(expect.arrayContaining([...cronBlock(site)]));
  expect(lines[0]).toBe('0 0 * * * mine');
});

test('where there was no crontab there is none once the block is taken off', () => {
  const { lines, put, take } = cronNode(['true']);
  expect(put().status).toBe(0);
  expect(lines()).not.toBeNull();
  expect(take().status).toBe(0);
  expect(lines()).toBeNull();
});

test('a block that was changed by hand is seen, and written anew', () => {
  const { foreign, lines, put, state } = cronNode(['true']);
  put();
  const right = lines()!;
  foreign(right.replace('*/5', '0'));
  expect(state().block).toBe('other');
  expect(put().status).toBe(0);
  expect(lines()).toBe(right);
  expect(state().block).toBe('as set');
});

test('a block without its last line is left alone, with all that stands behind it', () => {
  const { foreign, lines, put, take } = cronNode(['true']);
  put();
  const torn = `${lines()!.split('\n').slice(0, -2).join('\n')}\n0 0 * * * mine\n`;
  foreign(torn);
  for (const { status, stderr } of [put(), take()]) {
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/and not the last one of the block/);
  }
  expect(lines()).toBe(torn);
});

test('a crontab that cannot be read is not replaced', () => {
  const { foreign, put, lines } = cronNode(['true']);
  foreign('0 0 * * * mine\n');
  writeFileSync(join(bin, 'crontab'), fakeCrontab.replace('-l)', '-l) echo "not allowed" >&2; exit 1;'));
  expect(put()).toMatchObject({ status: 1, stderr: expect.stringContaining('not allowed') });
  expect(lines()).toBe('0 0 * * * mine\n');
});

test('each job runs in the live release, as it is written, and only where the node has the cron', async () => {
  const odd = `a 'b' "c" 100% \\% $HOME`;
  const { begin, put, take, folder } = cronNode(
    ['sh', '-c', 'printf %s "$1" > out', '-', odd],
    'pwd -P > where',
  );
  const runs = async (n: number) => (await once(begin(n), 'exit'))[0];
  put();
  expect([await runs(1), await runs(2)]).toEqual([0, 0]);
  expect(folder.read('current/out')).toBe(odd);
  expect(folder.read('current/where')).toMatch(new RegExp(`/releases/${release(1).id}\n$`));
  take();
  rmSync(join(folder.dir, 'current/where'));
  expect(await runs(2)).toBe(0);
  expect(folder.exists('current/where')).toBe(false);
});

test('jobs under way are seen with what they run, also once the block is taken off, until they have ended', async () => {
  const { begin, put, take, state, folder } = cronNode(['sleep', '60']);
  put();
  const job = begin(1);
  await expect.poll(() => state().running).toEqual(['sleep 60 ']);
  take();
  expect(state()).toMatchObject({ block: 'none', running: ['sleep 60 '] });
  const ended = once(job, 'exit');
  expect(folder.run(endCronJobs(folder.fence(), 'TERM')).status).toBe(0);
  await ended;
  expect(state().running).toEqual([]);
});

test('two that look at the same time take neither the other for a job', async () => {
  const { put, state, folder } = cronNode(['true']);
  put();
  const running = join(folder.dir, '.sluice/cron-running');
  writeFileSync(running, '');
  const other = spawn('flock', [
    join(folder.dir, '.sluice'),
    'flock',
    running,
    'sh',
    '-c',
    'echo; sleep 0.5',
  ]);
  const ended = once(other, 'exit');
  await once(other.stdout, 'data');
  expect(state().running).toEqual([]);
  await ended;
});

test('nothing is changed for a run that does not have the lock', () => {
  const { folder, lines } = cronNode(['true']);
  for (const command of [putCron(folder.fence('run-2'), folder.site), takeCron(folder.fence('run-2'))])
    expect(folder.run(command).status).toBe(75);
  expect(lines()).toBeNull();
});

test('a job whose leave to begin was taken away while it waited for its lock does not begin', async () => {
  const { begin, put, folder } = cronNode('echo x > began');
  put();
  const lock = join(folder.dir, '.sluice/cron-running');
  const holder = spawn('flock', [lock, 'sh', '-c', 'echo held; read _']);
  await once(holder.stdout, 'data');
  const ended = once(begin(1), 'exit');
  await sleep(200);
  rmSync(join(folder.dir, '.sluice/cron'));
  holder.stdin.end();
  await ended;
  expect(folder.exists('current/began')).toBe(false);
});
