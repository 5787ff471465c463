// `npm test`: builds sluice, then runs every test that this machine can run, and names those that it cannot. With
// CI=true nothing may be skipped. Arguments are passed to vitest.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const vitest = [process.execPath, join(root, 'node_modules/vitest/vitest.mjs'), 'run'];
const args = process.argv.slice(2);
// Arguments may name files that not every project has.
if (args.length > 0) vitest.push('--passWithNoTests');

const obstacle = obstacleOfSystemTests();
if (obstacle !== null && process.env.CI === 'true') {
  console.error(`CI=true, so no test may be skipped; but ${obstacle}.`);
  process.exit(1);
}
endUnlessDone(await statusOf('npm', ['run', '--silent', 'build']));
// What the system tests need is fetched while the others run. Those wait for much of their time, but for simulations.
const installing = obstacle === null ? statusOf('sh', [join(root, 'test/lab/install.sh')]) : 0;
const totals = [await tests('simulation', { workers: 2 }), await tests('unit', { workers: 3 })];
endUnlessDone(await installing);
if (obstacle === null) totals.push(await tests('system', { workers: 3, asRoot: true }));
else report(obstacle);
close(totals);

/** Why the tests that need real servers cannot run here; null if they can. */
function obstacleOfSystemTests() {
  if (process.platform !== 'linux' || !existsSync('/etc/debian_version'))
    return 'this machine does not run Debian';
  if (process.getuid() !== 0 && spawnSync('sudo', ['-n', 'true']).status !== 0)
    return 'this is not root, and sudo asks for a password or is not there';
  return null;
}

/** Runs the tests of a project to their end, and counts them. */
async function tests(project, { workers, asRoot = false }) {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-tests-'));
  const file = join(folder, 'result.json');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`];
  const chosen = [`--project=${project}`, `--maxWorkers=${workers}`, ...args];
  const [program, ...words] = [...(asRoot ? sudo() : []), ...vitest, ...reporters, ...chosen];
  const status = await statusOf(program, words);
  const counts = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  rmSync(folder, { recursive: true, force: true });
  const { numPassedTests: passed = 0, numFailedTests: failed = 0, numPendingTests: skipped = 0 } = counts;
  return { passed, failed, skipped, status };
}

/** The closing line; the exit status is not 0 if a test failed, or was skipped where none may be. */
function close(all) {
  const sum = (key) => all.reduce((total, counts) => total + counts[key], 0);
  const forbidden = process.env.CI === 'true' && sum('skipped') > 0;
  if (forbidden) console.error('CI=true, so no test may be skipped.');
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`);
  process.exit(forbidden || all.some(({ status }) => status !== 0) ? 1 : 0);
}

function sudo() {
  const kept = ['PATH', 'CI', 'HOME'].map((name) => `${name}=${process.env[name] ?? ''}`);
  return process.getuid() === 0 ? [] : ['sudo', '-n', 'env', ...kept];
}

/** Ends all with a command's own status if that is not 0. */
function endUnlessDone(status) {
  if (status !== 0) process.exit(status ?? 1);
}

/** Null if it was ended by a signal. */
async function statusOf(program, words) {
  const child = spawn(program, words, { cwd: root, stdio: 'inherit' });
  const [status] = await once(child, 'exit');
  return status;
}

function report(reason) {
  const files = readdirSync(join(root, 'test'), { recursive: true })
    .filter((file) => /(^e2e\/.*|\.system)\.test\.ts$/.test(file))
    .sort();
  console.log(`\nSKIPPED: ${files.length} files of system tests, for ${reason}:`);
  for (const file of files) console.log(`  test/${file}`);
  console.log('Run them on Debian, as root or with a sudo that asks for no password.');
}
