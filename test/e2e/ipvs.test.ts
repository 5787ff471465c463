import { beforeAll, describe, expect, test } from 'vitest';
import { type Ran, runKernelTests } from '../lab/ipvs/run.ts';

/** Directors that are kernels of their own, with web servers and clients in network namespaces. */
let ran: Ran;
const timeoutMs = 420_000;
beforeAll(async () => {
  ran = await runKernelTests(timeoutMs);
  for (const line of ran.output.matchAll(/\d+ requests .*/g)) console.log(line[0]);
}, timeoutMs + 10_000);

describe('with kernels that have IPVS', () => {
  test.each([
    ['ipvs', 'the contract of balancers holds, for two directors by NAT and one by direct routing', 32],
    ['ldirectord', 'the contract of balancers holds, and a reload keeps who is out', 20],
    ['deploy', 'a deploy and a rollback fail none of 50,000 requests, by NAT and by direct routing', 3],
  ])('%s: %s', (file, _, count) => {
    const result = ran.testResults.find(({ name }) => name.endsWith(`/${file}.kernel.ts`));
    const failed = (result?.assertionResults ?? []).filter(({ status }) => status !== 'passed');
    expect(
      failed.map(({ fullName, failureMessages }) => [fullName, ...failureMessages].join('\n')),
      ran.output,
    ).toEqual([]);
    expect(result?.message, ran.output).toBe('');
    expect(result?.assertionResults).toHaveLength(count);
  });
});
