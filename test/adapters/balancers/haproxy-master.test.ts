import { expect, test } from 'vitest';
import { workersIn } from '../../../src/adapters/balancers/haproxy-master.ts';

const head = '#<PID>          <type>          <reloads>       <uptime>        <version>      \n';
const master = '31841           master          1 [failed: 0]   0d00h00m04s     2.6.12-1+deb12u4\n';
const process = (pid: number, type = 'worker') =>
  `${pid}           ${type}          1               0d00h00m01s     2.6.12-1+deb12u4\n`;

test.each([
  ['one worker', `${head}${master}# workers\n${process(7)}# programs\n\n`, [7]],
  [
    'old ones after two reloads',
    `${head}${master}# workers\n${process(9)}# old workers\n${process(7)}${process(8)}# programs\n\n`,
    [9, 7, 8],
  ],
  ['version 3.2, which has no programs', `${head}${master}# workers\n${process(7)}\n`, [7]],
  [
    'programs, which are no workers',
    `${head}${master}# workers\n${process(7)}# programs\n${process(5, 'worker')}# old programs\n${process(4)}\n`,
    [7],
  ],
  ['none that runs, while a new one starts', `${head}${master}# workers\n# programs\n\n`, []],
])('%s', (_, processes, workers) => expect(workersIn(processes)).toEqual(workers));

test.each(['', 'Unknown command: show proc\n', `${head}${master}`])('%j lists no workers', (processes) => {
  expect(() => workersIn(processes)).toThrow('"show proc" does not list workers');
});
