#!/usr/bin/env node
import { setMaxListeners } from 'node:events';
import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { run } from '../src/cli/program.ts';
import { secretMask } from '../src/reporters/github-mask.ts';
import { filesConfig } from './config.ts';

// A run has as many waits as nodes, and each listens to its signal.
setMaxListeners(0);

const interrupted = { SIGINT: 130, SIGTERM: 143, SIGHUP: 143 } as const;
const controller = new AbortController();

/** The first signal asks for a safe end, a terminal that was closed too; the second is obeyed at once. */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (controller.signal.aborted) process.exit(interrupted[signal]);
    controller.abort(signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM');
  });
}

/** A reader that went away (`sluice status | head`), or a terminal (EIO), must not stop a release. */
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
  });
}

const status = await run({
  argv: process.argv.slice(2),
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  version: versionOf('../package.json', '../../package.json'),
  signal: controller.signal,
  simulator: () => import('../src/simulator/simulate.ts'),
  fleetSimulator: () => import('../src/simulator/simulate-fleet.ts'),
  nextTurn: () => new Promise((resolve) => setImmediate(resolve)),
  config: filesConfig({ cwd: process.cwd(), env: process.env, onSecret: secretMask(process) }),
  files: {
    read: (path) => readFileSync(path, 'utf8'),
    write: writeFileSync,
    append: appendFileSync,
  },
  engine: () => import('../src/cli/engine.ts'),
  createPorts: async (site, emit) =>
    (await import('./ports.ts')).createPorts(site, { emit, env: process.env }),
  createFleetPorts: async (site, emit) =>
    (await import('./ports.ts')).createFleetPorts(site, { emit, env: process.env }),
});

// All that was written leaves first: a pipe may be full. Nothing that is still open keeps the process alive.
process.stdout.write('', () => process.stderr.write('', () => process.exit(status)));

/** package.json stands above `bin` in the sources, and above `dist` once built. */
function versionOf(...places: readonly string[]): string {
  const file = places.map((place) => new URL(place, import.meta.url)).find((url) => existsSync(url));
  return file ? JSON.parse(readFileSync(file, 'utf8')).version : 'unknown';
}
