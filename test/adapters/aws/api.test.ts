import { expect, test } from 'vitest';
import { awsApi, balancerAsker } from '../../../src/adapters/aws/api.ts';

const access = { region: null, profile: null, endpoint: null, credentials: null, timeout: 1000 };
const asked = (call: () => Promise<never>, load = async () => ({ destroy: () => {} })) =>
  awsApi(balancerAsker('front'), access, { name: '@aws-sdk/client-of-something', load }).ask(
    'DescribeIt web',
    call,
  );

const rejecting = (name: string, more: object) => () =>
  Promise.reject(Object.assign(new Error('so it is'), { name, ...more }));

test('a package that is not installed is named, with the way to install it', async () => {
  const missing = 'not-installed-anywhere';
  const failure = asked(rejecting('never asked', {}), () => import(missing));
  await expect(failure).rejects.toMatchObject({
    code: 'PACKAGE_MISSING',
    hint: 'install it beside sluice: npm install @aws-sdk/client-of-something',
  });
  await expect(failure).rejects.toThrow(
    'The package @aws-sdk/client-of-something, which balancer front needs, is not installed.',
  );
});

test.each([
  ['OperationNotPermittedException', { $metadata: { httpStatusCode: 400 } }],
  ['AccessDenied', { $metadata: { httpStatusCode: 403 } }],
  ['CredentialsProviderError', {}],
])('%s is for good', async (name, more) => {
  await expect(asked(rejecting(name, more))).rejects.toMatchObject({
    code: 'BALANCER_REFUSED',
    details: { request: 'DescribeIt web', answer: `${name.replace('Exception', '')}: so it is` },
  });
});

test.each([
  ['Throttling', { $metadata: { httpStatusCode: 400 } }],
  ['PriorRequestNotCompleteException', { $metadata: { httpStatusCode: 429 } }],
  ['InternalFailure', { $metadata: { httpStatusCode: 500 } }],
  ['TimeoutError', {}],
])('%s may be otherwise in a moment', async (name, more) => {
  await expect(asked(rejecting(name, more))).rejects.toMatchObject({
    code: 'BALANCER_UNREACHABLE',
    details: { address: 'AWS', reason: 'so it is' },
  });
});
