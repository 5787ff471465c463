import { execFileSync, spawnSync } from 'node:child_process';
import { openSync, readFileSync, writeSync } from 'node:fs';

const result = openSync(process.argv[2]!, 'w');

// What the tests leave behind goes with the kernel.
execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=1777', 'tmpfs', '/tmp']);
const report = '/tmp/report.json';
const { stdout, stderr } = spawnSync(
  process.execPath,
  [
    'node_modules/vitest/vitest.mjs',
    'run',
    '--project=kernel',
    '--reporter=verbose',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...process.argv.slice(3),
  ],
  { encoding: 'utf8' },
);
writeSync(
  result,
  JSON.stringify({ report: JSON.parse(readFileSync(report, 'utf8')), output: stdout + stderr }),
);
process.exit(0);
