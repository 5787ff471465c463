import { describe, expect, test } from 'vitest';
import { haproxyOptions } from '../../../src/adapters/balancers/haproxy-options.ts';
import { balancerKinds } from '../../../src/adapters/balancers/index.ts';
import { parseFields, variantOf } from '../../../src/core/field.ts';

const read = (settings: Readonly<Record<string, unknown>>) =>
  parseFields(haproxyOptions, { socket: '/run/haproxy.sock', backend: 'web', ...settings });

describe('the settings of HAProxy', () => {
  test('a socket and a backend are enough', () => {
    expect(read({})).toEqual({
      ok: true,
      value: {
        socket: [{ kind: 'unix', path: '/run/haproxy.sock' }],
        map: null,
        host: null,
        master: null,
        stateFile: null,
        backend: ['web'],
        servers: {},
        timeout: 5000,
      },
    });
  });

  test('both are missed', () => {
    expect(parseFields(haproxyOptions, {})).toMatchObject({
      ok: false,
      problems: [
        'socket: expected the absolute path of a unix socket, or host:port, or a list of such, got nothing',
        'backend: expected a name of letters, digits and -_.:, or a list of such, or an object with one for each pool, got nothing',
      ],
    });
  });

  test.each([
    ['/run/a b.sock', { kind: 'unix', path: '/run/a b.sock' }],
    ['10.0.0.2:9999', { kind: 'tcp', host: '10.0.0.2', port: 9999 }],
    ['lb1.example.org:9999', { kind: 'tcp', host: 'lb1.example.org', port: 9999 }],
    ['[::1]:9999', { kind: 'tcp', host: '::1', port: 9999 }],
  ])('socket %s', (socket, target) => {
    expect(read({ socket })).toMatchObject({ ok: true, value: { socket: [target] } });
    expect(read({ socket: ['/other', socket] })).toMatchObject({ value: { socket: [{}, target] } });
  });

  test.each([
    'run/haproxy.sock',
    'lb1',
    'lb1:',
    'lb1:99999',
    'lb1:0',
    '::1:9999',
    ':9999',
    '',
    9999,
    null,
    '/a\n',
  ])('socket %j is refused', (socket) => expect(read({ socket }).ok).toBe(false));

  test.each([
    ['socket', ['/a', '/b', '/a'], 'socket[2]: "/a" stands in the list before'],
    ['socket', [], 'socket: expected at least 1 entry, got an empty list'],
    ['backend', ['web', 'a b'], 'backend[1]: expected a name of letters, digits and -_.:, got "a b"'],
    ['backend', 'web; shutdown', 'backend: expected a name of letters, digits and -_.:, got "web; shutdown"'],
    ['servers', { web1: 'a/b' }, 'servers.web1: expected a name of letters, digits and -_.:, got "a/b"'],
    ['host', '-oProxyCommand=x', 'host.address: expected a host name or address, got "-oProxyCommand=x"'],
    ['host', { address: 'lb1', user: '-x' }, 'host.user: expected a user name, got "-x"'],
  ])('%s: %j is refused', (setting, value, problem) => {
    expect(read({ [setting]: value })).toEqual({ ok: false, problems: [problem] });
  });

  test.each([
    ['lb1', { name: 'lb1', address: 'lb1', user: null, port: null }],
    [
      { address: '10.0.0.2', user: 'ops', port: 2222 },
      { name: '10.0.0.2', address: '10.0.0.2', user: 'ops', port: 2222 },
    ],
  ])('host %j', (host, value) => {
    expect(read({ host })).toMatchObject({ ok: true, value: { host: value } });
  });

  test.each([
    [{ socket: ['/a', '/b'], master: '/m' }, 'lb.master: expected one for each socket (2), got 1'],
    [{ socket: '/a', stateFile: ['/x', '/y'] }, 'lb.stateFile: expected one for each socket (1), got 2'],
    [
      { socket: 'lb1:9999', stateFile: '/var/lib/haproxy/state' },
      'lb.stateFile: is not within reach: name the machine that has it as host',
    ],
  ])('%j is refused, right as each setting is', (settings, problem) => {
    const kind = variantOf('kind', balancerKinds);
    const result = kind.parse({ kind: 'haproxy', backend: 'web', ...settings }, 'lb');
    expect(result).toEqual({ ok: false, problems: [problem] });
  });

  test('a file of states is within reach through its host', () => {
    const kind = variantOf('kind', balancerKinds);
    const far = { host: 'lb1', socket: 'lb1:9999', stateFile: '/var/lib/haproxy/state' };
    expect(kind.parse({ kind: 'haproxy', backend: 'web', ...far }, 'lb').ok).toBe(true);
  });
});
