import { beforeAll, describe, expect, test } from 'vitest';
import { inKernel } from '../lab/kernel.ts';

/** What vitest reports of the tests in test/lab/ipvs. */
interface Ran {
  readonly report: {
    readonly testResults: readonly {
      readonly name: string;
      readonly message: string;
      readonly assertionResults: readonly {
        readonly fullName: string;
        readonly status: string;
        readonly failureMessages: readonly string[];
      }[];
    }[];
  };
  /** As a person would have seen it. */
  readonly output: string;
}

/** Directors and web servers in network namespaces of a kernel of their own. */
let ran: Ran;
const timeoutMs = 280_000;
beforeAll(async () => {
  ran = (await inKernel('ipvs-program.ts', {
    timeoutMs,
    modules: ['ip_vs', 'ip_vs_wrr', 'veth', 'bridge'],
  })) as Ran;
}, timeoutMs + 10_000);

describe('in a kernel with IPVS', () => {
  test.each([
    ['ipvs', 'the contract of balancers holds, for two directors by NAT and one by direct routing', 32],
    ['ldirectord', 'a node is taken out by a file of maintenance, which a reload keeps', 6],
  ])('%s: %s', (file, _, count) => {
    const result = ran.report.testResults.find(({ name }) => name.endsWith(`/${file}.kernel.ts`));
    const failed = (result?.assertionResults ?? []).filter(({ status }) => status !== 'passed');
    expect(
      failed.map(({ fullName, failureMessages }) => [fullName, ...failureMessages].join('\n')),
      ran.output,
    ).toEqual([]);
    expect(result?.message, ran.output).toBe('');
    expect(result?.assertionResults).toHaveLength(count);
  });
});
