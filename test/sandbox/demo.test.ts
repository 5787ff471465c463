import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/** Compiled: `npm run build` comes first. */
const program = fileURLToPath(new URL('../../dist/bin/demo.js', import.meta.url));
let dir: string;
let demo: Demo | null = null;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'sluice-demo-test-'));
});

afterEach(async () => {
  if (demo !== null && demo.child.exitCode === null) {
    demo.child.kill('SIGTERM');
    await demo.exit;
  }
  demo = null;
  await rm(dir, { recursive: true, force: true });
});

describe('the demo', () => {
  test('releases, puts a broken release back and rolls back, and no client notices', {
    timeout: 300_000,
  }, async () => {
    demo = start('--dir', join(dir, 'site'));
    expect(await demo.exit, demo.output()).toBe(0);
    const output = demo.output();
    expect(output).toMatch(/^ {2}failed +0$/m);
    expect(Number(/^ {2}requests sent +(\d+)$/m.exec(output)?.[1])).toBeGreaterThan(1000);
    expect(Number(/^ {2}slow requests in flight +(\d+) at least/m.exec(output)?.[1])).toBeGreaterThan(0);
    expect(output).toMatch(/^ {2}fewest nodes serving +3 of 4$/m);
    expect(output.match(/^exit status .*$/gm)).toEqual([
      'exit status 0, as expected',
      'exit status 1, as expected',
      'exit status 0, as expected',
    ]);
    expect(output).toContain('settings.json has no greeting');
    expect(output).toMatch(/^ {2}web1 +\d+\.\d +\d+\.\d +\d+\.\d$/m);
    for (const untouched of ['web2', 'web3', 'web4'])
      expect(output).toMatch(new RegExp(`^ {2}${untouched} +\\d+\\.\\d +- +\\d+\\.\\d$`, 'm'));
    await expect(access(join(dir, 'site'))).rejects.toThrow('ENOENT');
  });

  test('ends at SIGTERM without leaving an application or its folder behind', {
    timeout: 120_000,
  }, async () => {
    demo = start('--dir', join(dir, 'site'));
    await demo.says('3/18 drain');
    // The last node to change: it serves for some seconds yet.
    const env = await readFile(join(dir, 'site/nodes/web4/srv/shop/shared/.env'), 'utf8');
    const url = `http://127.0.0.1:${/PORT=(\d+)/.exec(env)?.[1]}/`;
    expect((await fetch(url)).status).toBe(200);
    demo.child.kill('SIGTERM');
    expect(await demo.exit, demo.output()).toBe(143);
    await expect(fetch(url)).rejects.toThrow();
    await expect(access(join(dir, 'site'))).rejects.toThrow('ENOENT');
  });

  test('refuses an unknown flag and a folder that holds something', { timeout: 20_000 }, async () => {
    demo = start('--kep');
    expect(await demo.exit).toBe(2);
    expect(demo.output()).toMatch(/^Unknown option '--kep'/);
    await writeFile(join(dir, 'letter'), '');
    demo = start('--dir', dir);
    expect(await demo.exit).toBe(2);
    expect(demo.output()).toBe(`The sandbox did not start: ${dir} is not empty\n`);
    expect(await readdir(dir)).toEqual(['letter']);
  });
});

interface Demo {
  readonly child: ChildProcess;
  readonly exit: Promise<number>;
  output(): string;
  says(text: string): Promise<void>;
}

function start(...flags: readonly string[]): Demo {
  const child = spawn(process.execPath, [program, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  return {
    child,
    exit: once(child, 'close').then(([status]) => status as number),
    output: () => output,
    async says(text) {
      for (let tries = 0; !output.includes(text); tries++) {
        expect(tries, output).toBeLessThan(1600);
        await sleep(50);
      }
    },
  };
}
