// `npm run bench`: deploys the same site side by side with the least that does the work, with Capistrano and with
// Ansible, and says where sluice stands. It is no test: a missed goal is printed, and only a deploy that fails makes
// it end with another status than 0.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Fleet, healthUrl, startFleet } from './fleet.ts';
import { overheadOf } from './overhead.ts';
import { type Lap, race } from './race.ts';
import { goals, type Measurements, reportText } from './report.ts';
import { restartSeconds } from './restart-time.ts';
import { slowApplication } from './slow-application.ts';
import { startupSeconds } from './startup.ts';
import { transfers } from './transfer.ts';
import { reload } from './web.ts';

const usage = 'npm run bench -- [--rounds 3] [--json file]';

const { rounds, json } = readFlags();
mustBeRootOnDebian();
install();
const startup = startupSeconds();
const fleet = await startFleet();
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => void fleet.stop().finally(() => process.exit(1)));
try {
  const measured = await measure(fleet);
  process.stdout.write(reportText(measured));
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ ...measured, goals: goals(measured) }, null, 2)}\n`);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await fleet.stop();
}

async function measure({ lab, blog, sites }: Fleet): Promise<Measurements> {
  const laps = await race(fleet, rounds, showLap);
  await blog.nextVersion();
  const overhead = await overheadOf(sites.rolling);
  return {
    site: { files: blog.files, changed: blog.changed },
    nodes: lab.nodes.length,
    laps,
    restartSeconds: await restartSeconds(lab, lab.nodes[0]!, {
      deployTo: sites.floor.deployTo,
      url: healthUrl(sites.floor, lab.nodes[0]!),
      restart: reload,
    }),
    slow: await slowApplication(lab),
    transfers: await transfers(lab, blog),
    startup,
    overhead,
  };
}

function showLap({ contender, round, seconds }: Lap): void {
  const name = round === 0 ? 'warm-up' : `round ${round}`;
  process.stderr.write(`${name}  ${contender.padEnd(10)}  ${seconds.toFixed(2)} s\n`);
}

function readFlags(): { readonly rounds: number; readonly json: string | undefined } {
  try {
    const { values } = parseArgs({
      options: { rounds: { type: 'string', default: '3' }, json: { type: 'string' } },
    });
    const count = Number(values.rounds);
    if (!Number.isInteger(count) || count < 1)
      throw new Error(`--rounds: expected a count, got ${values.rounds}`);
    return { rounds: count, json: values.json };
  } catch (error) {
    console.error(`${(error as Error).message}\nusage: ${usage}`);
    process.exit(2);
  }
}

function mustBeRootOnDebian(): void {
  if (existsSync('/etc/debian_version') && process.getuid?.() === 0) return;
  console.error(
    'The bench needs Debian and root: it installs packages and starts SSH servers that see mounts of their own.',
  );
  process.exit(2);
}

function install(): void {
  const { status } = spawnSync('sh', [fileURLToPath(new URL('install.sh', import.meta.url))], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(1);
}
