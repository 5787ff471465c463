import { describe, expect, test } from 'vitest';
import { awsOptions, serverNamed, shownServer } from '../../../src/adapters/balancers/aws-options.ts';
import { parseFields } from '../../../src/core/field.ts';
import { Secret } from '../../../src/core/secret.ts';

const read = (raw: Readonly<Record<string, unknown>>) =>
  parseFields(awsOptions, { targetGroup: 'web', ...raw });

describe('a target', () => {
  test.each([
    ['i-0123456789abcdef0', { id: 'i-0123456789abcdef0', port: null }],
    ['i-01234567:8080', { id: 'i-01234567', port: 8080 }],
    ['10.0.1.12', { id: '10.0.1.12', port: null }],
    ['10.0.1.12:8080', { id: '10.0.1.12', port: 8080 }],
    ['2001:db8::1', { id: '2001:db8::1', port: null }],
    ['[2001:db8::1]:8080', { id: '2001:db8::1', port: 8080 }],
  ])('%s is read, and shown as it was written', (written, server) => {
    expect(serverNamed(written)).toEqual(server);
    expect(shownServer(server)).toBe(written);
  });

  test.each(['web1', 'i-xyz', '10.0.1', '10.0.1.12:', '10.0.1.12:0', '10.0.1.12:70000', '[web1]:80', ''])(
    '%j is none',
    (written) => {
      expect(serverNamed(written)).toBeUndefined();
    },
  );
});

describe('settings', () => {
  test('that say the least leave the rest to the SDK', () => {
    expect(read({})).toEqual({
      ok: true,
      value: {
        targetGroup: ['web'],
        servers: {},
        settle: 10_000,
        region: null,
        profile: null,
        endpoint: null,
        credentials: null,
        timeout: 5000,
      },
    });
  });

  test('keep an access key secret', () => {
    const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'never shown' };
    expect(read({ credentials })).toMatchObject({
      value: { credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: expect.any(Secret) } },
    });
    expect(JSON.stringify(read({ credentials }))).not.toContain('never shown');
  });

  test.each([
    [
      { targetGroup: { blue: ['b80', 'b443'], green: 'g80' } },
      'targetGroup: expected as many target groups for each pool, got 2 and 1',
    ],
    [{ targetGroup: 'a_b' }, 'targetGroup: expected the name or the ARN of a target group, got "a_b"'],
    [{ targetGroup: ['web', 'web'] }, 'targetGroup[1]: "web" stands in the list before'],
    [
      { servers: { web1: 'web1.example.org' } },
      "servers.web1: expected an instance such as 'i-0abc1234def567890' or an IP address, with :port where it is not the group's, got \"web1.example.org\"",
    ],
    [{ region: 'Ireland' }, 'region: expected a region such as eu-west-1, got "Ireland"'],
  ])('%j are refused', (raw, problem) => {
    expect(read(raw)).toEqual({ ok: false, problems: [problem] });
  });

  test.each(['eu-west-1', 'us-gov-west-1', 'eusc-de-east-1'])('know region %s', (region) => {
    expect(read({ region })).toMatchObject({ ok: true });
  });
});
