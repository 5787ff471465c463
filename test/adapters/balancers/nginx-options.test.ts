import { expect, test } from 'vitest';
import { nginxOptions } from '../../../src/adapters/balancers/nginx-options.ts';
import { parseFields } from '../../../src/core/field.ts';

const least = { file: '/etc/nginx/conf.d/shop.conf', upstream: 'shop' };

test('what is left out is as Debian has it, on this machine', () => {
  expect(parseFields(nginxOptions, least)).toEqual({
    ok: true,
    value: {
      ...least,
      live: null,
      servers: {},
      host: null,
      become: null,
      pid: '/run/nginx.pid',
      command: ['nginx'],
      timeout: 10_000,
    },
  });
});

test('all of it can be said', () => {
  const all = {
    ...least,
    upstream: { blue: 'shop_blue', green: 'shop_green' },
    live: 'shop_live',
    servers: { web1: '10.0.0.11:8080', web2: '[2001:db8::2]:8080' },
    host: { address: 'lb1.example.org', user: 'ops', port: 22 },
    become: 'root',
    pid: '/run/edge.pid',
    command: ['nginx', '-c', '/etc/nginx/edge.conf'],
    timeout: '30s',
  };
  expect(parseFields(nginxOptions, all)).toEqual({
    ok: true,
    value: { ...all, host: { name: 'lb1.example.org', ...all.host }, timeout: 30_000 },
  });
});

test.each([
  [{ file: 'shop.conf' }, 'file: expected the absolute path of a file, got "shop.conf"'],
  [{ upstream: 'shop {' }, 'upstream: expected a name of letters, digits and -_., got "shop {"'],
  [{ live: '$shop_live' }, 'live: expected the name of a variable, without its $, got "$shop_live"'],
  [
    { servers: { web1: '10.0.0.1; down' } },
    'servers.web1: expected an address as it stands in the upstream, got "10.0.0.1; down"',
  ],
  [
    { command: ['nginx', '-s', 'stop'] },
    'command[1]: expected a word that does not say what to do, as -s and -t would, got "-s"',
  ],
])('%j is refused', (more, problem) => {
  const result = parseFields(nginxOptions, { ...least, ...more });
  expect(result.ok ? [] : result.problems).toEqual([problem]);
});
