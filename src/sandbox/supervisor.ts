import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Stops the application of a node, if one runs. `shared` is the node's `<deployTo>/shared`. Requests in flight are
 * answered first; after 5 s the process is killed.
 */
export async function stopApplication(shared: string): Promise<void> {
  const pidFile = join(shared, 'tmp/application.pid');
  for (let waitedMs = 0; isRunning(pidFile, waitedMs === 0 ? 'SIGTERM' : 0); waitedMs += 20) {
    if (waitedMs >= 5000) isRunning(pidFile, 'SIGKILL');
    await sleep(20);
  }
}

/** Sends `signal` on the way. The application removes its file when it ends, so a process not yet reaped is gone. */
function isRunning(pidFile: string, signal: NodeJS.Signals | 0): boolean {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    return pid > 0 && process.kill(pid, signal);
  } catch {
    return false;
  }
}

/**
 * `bin/restart.mjs` of the application, what `activate` runs in a release: ends the process that serves, starts this
 * release, waits until it listens. It works in the release, whose `.env`, `tmp` and `log` are links into `shared/`.
 * Exit status 1 if the release ends or does not listen within 10 s.
 */
export const restartProgram = `// Ends the application that runs on this machine and starts the one of this release.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const listenTimeoutMs = 10_000;
const stopTimeoutMs = 10_000;
const pidFile = 'tmp/application.pid';

process.chdir(join(dirname(fileURLToPath(import.meta.url)), '..'));
await stop();
await start();

// SIGTERM lets it answer what is in flight; it removes its file when it ends.
async function stop() {
  for (let waitedMs = 0; isRunning(waitedMs === 0 ? 'SIGTERM' : 0); waitedMs += 20) {
    if (waitedMs >= stopTimeoutMs) isRunning('SIGKILL');
    await sleep(20);
  }
}

function isRunning(signal) {
  try {
    const pid = Number(readFileSync(pidFile, 'utf8'));
    return pid > 0 && process.kill(pid, signal);
  } catch {
    return false;
  }
}

async function start() {
  const log = openSync('log/application.log', 'a');
  const env = { ...process.env, ...environment() };
  const child = spawn(process.execPath, ['server.mjs'], { detached: true, env, stdio: ['ignore', log, log, 'ipc'] });
  // Whoever ends it must never read half a number.
  writeFileSync(\`\${pidFile}.new\`, String(child.pid));
  renameSync(\`\${pidFile}.new\`, pidFile);
  const outcome = await Promise.race([
    once(child, 'message').then(() => 'listens'),
    once(child, 'exit').then(([status]) => \`ended with status \${status}\`),
    sleep(listenTimeoutMs, \`does not listen after \${listenTimeoutMs} ms\`),
  ]);
  if (outcome === 'listens') process.exit(0);
  child.kill('SIGKILL');
  const said = readFileSync('log/application.log', 'utf8').trim().split('\\n').slice(-12).join('\\n');
  console.error(\`the application \${outcome}: see log/application.log\${said === '' ? '' : \`, which ends with\\n\${said}\`}\`);
  process.exit(1);
}

function environment() {
  const lines = readFileSync('.env', 'utf8').split('\\n');
  return Object.fromEntries(lines.filter((line) => line.includes('=')).map((line) => line.split(/=(.*)/).slice(0, 2)));
}
`;
