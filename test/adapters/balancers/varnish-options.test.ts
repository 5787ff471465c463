import { expect, test } from 'vitest';
import { varnishOptions } from '../../../src/adapters/balancers/varnish-options.ts';
import { parseFields } from '../../../src/core/field.ts';

const problemsOf = (raw: Readonly<Record<string, unknown>>): readonly string[] => {
  const result = parseFields(varnishOptions, raw);
  return result.ok ? [] : result.problems;
};

test('a member is what Debian makes of Varnish, unless it says otherwise', () => {
  expect(parseFields(varnishOptions, { members: [{ host: 'cache1.example.org' }] })).toMatchObject({
    ok: true,
    value: {
      members: [
        {
          host: { address: 'cache1.example.org' },
          cli: { host: '127.0.0.1', port: 6082 },
          secretFile: '/etc/varnish/secret',
          secret: null,
          instance: null,
        },
      ],
      pools: null,
    },
  });
});

test('an address may be one of IPv6', () => {
  const found = parseFields(varnishOptions, { members: [{ cli: '[::1]:6082' }] });
  expect(found).toMatchObject({ value: { members: [{ cli: { host: '::1', port: 6082 } }] } });
});

test.each([
  [{}, 'members: expected a list'],
  [{ members: [] }, 'members: expected at least 1 entry'],
  [{ members: [{}, {}] }, 'members: expected a list of at least one Varnish, none of them twice'],
  [{ members: [{ cli: 'cache1' }] }, 'members[0].cli: expected host:port, got "cache1"'],
  [{ members: [{ secretFile: 'secret' }] }, 'members[0].secretFile: expected the absolute path of a file'],
  [{ members: [{ instance: '-b' }] }, 'members[0].instance: expected a name or an absolute path'],
  [{ members: [{}], backends: { web1: 'a*' } }, 'backends.web1: expected the name of a backend'],
  [{ members: [{}], pools: { vcl: { blue: 'a b' } } }, 'pools.vcl.blue: expected the name of a VCL'],
])('%j is refused', (raw, message) => {
  expect(problemsOf(raw).join('\n')).toContain(message);
});
