import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What vitest reports of tests. */
export interface Ran {
  readonly testResults: readonly {
    readonly name: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
  /** As a person would have seen it. */
  readonly output: string;
}

/**
 * Runs the tests of a file of vitest's project `kernel` as root in a network, with a /run and a /tmp and among processes of their
 * own: what they start and make is gone at the end, whatever happens.
 */
export async function runKernelTests(file: string, timeoutMs: number): Promise<Ran> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-directors-'));
  const report = join(folder, 'report.json');
  const vitest = [
    process.execPath,
    'node_modules/vitest/vitest.mjs',
    'run',
    '--project=kernel',
    `/${file}.kernel.ts`,
  ];
  const reporters = ['--reporter=verbose', '--reporter=json', '--outputFile.json=/run/report.json'];
  try {
    const words = [
      '--net',
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'sh',
      '-euc',
      enter,
      'sh',
    ];
    const child = spawn('unshare', [...words, report, ...vitest, ...reporters], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    await once(child, 'close');
    const text = await readFile(report, 'utf8').catch(() => '');
    if (text === '') throw new Error(`the tests did not come to their end:\n${output}`);
    return { ...JSON.parse(text), output };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The report's file is out of sight once /tmp is the tests' own. */
const enter = `
  report=$1
  shift
  : > "$report"
  mount -t tmpfs tmpfs /run
  : > /run/report.json
  mount --bind "$report" /run/report.json
  mount -t tmpfs -o mode=1777 tmpfs /tmp
  # There is no name server, so none is waited for.
  mount --bind /dev/null /etc/resolv.conf
  ip link set lo up
  exec "$@"
`;
