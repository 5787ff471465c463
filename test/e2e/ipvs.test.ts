import { describe, expect, test } from 'vitest';
import { runKernelTests } from '../lab/ipvs/run.ts';

/** Directors that are kernels of their own, with web servers and clients in network namespaces: some for each file, side by side. */
const timeoutMs = 900_000;

describe.concurrent('with kernels that have IPVS', () => {
  test.each([
    ['ipvs', 'the contract of balancers holds, for two directors by NAT and one by direct routing', 32],
    ['ldirectord', 'the contract of balancers holds, and a reload keeps who is out', 20],
    ['deploy', 'a deploy and a rollback fail none of 50,000 requests, by NAT and by direct routing', 3],
  ])('%s: %s', { timeout: timeoutMs + 10_000 }, async (file, _, count) => {
    const ran = await runKernelTests(file, timeoutMs);
    for (const line of ran.output.matchAll(/\d+ requests .*/g)) console.log(line[0]);
    const [result] = ran.testResults;
    const failed = (result?.assertionResults ?? []).filter(({ status }) => status !== 'passed');
    expect(
      failed.map(({ fullName, failureMessages }) => [fullName, ...failureMessages].join('\n')),
      ran.output,
    ).toEqual([]);
    expect(result?.message, ran.output).toBe('');
    expect(result?.assertionResults).toHaveLength(count);
  });
});
