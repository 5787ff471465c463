import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { othersThrough, workersIn } from '../../../src/adapters/balancers/haproxy-master.ts';
import { localTransport } from '../../../src/adapters/transports/local.ts';

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

test('a question that a master took and never answers, as it reloads, is asked again', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'haproxy-master-'));
  const path = join(folder, 'master.sock');
  let asked = 0;
  const server = createServer({ allowHalfOpen: true }, (stream) => {
    stream.resume().once('end', () => {
      asked += 1;
      if (asked > 1) stream.end(`${head}${master}# workers\n${process(7)}\n`);
    });
  }).listen(path);
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
    await rm(folder, { recursive: true });
  });
  const others = othersThrough({
    balancer: 'lb',
    to: { kind: 'unix', path },
    host: null,
    transport: localTransport({ become: null }),
    timeoutMs: 1500,
  });
  expect(await others(7)).toEqual([]);
  expect(asked).toBe(2);
});
