import { describe, expect, test } from 'vitest';
import { ipvsOptions } from '../../../src/adapters/balancers/ipvs-options.ts';
import { parseFields } from '../../../src/core/field.ts';

const read = (settings: Readonly<Record<string, unknown>>) =>
  parseFields(ipvsOptions, { services: '192.0.2.1:80', ...settings });

describe('the settings of IPVS', () => {
  test('a virtual service is enough', () => {
    expect(read({})).toEqual({
      ok: true,
      value: {
        services: [{ title: 'tcp 192.0.2.1:80', words: '-t 192.0.2.1:80' }],
        hosts: null,
        sudo: false,
        servers: {},
        drain: 'hard',
        weight: 1,
        weights: {},
        save: null,
      },
    });
  });

  test.each([
    ['tcp 192.0.2.1:443', 'tcp 192.0.2.1:443', '-t 192.0.2.1:443'],
    ['udp 192.0.2.1:443', 'udp 192.0.2.1:443', '-u 192.0.2.1:443'],
    ['sctp 192.0.2.1:7', 'sctp 192.0.2.1:7', '--sctp-service 192.0.2.1:7'],
    ['[2001:DB8:0::1]:80', 'tcp [2001:db8::1]:80', '-t [2001:db8::1]:80'],
    ['fwmark 7', 'fwmark 7', '-f 7'],
    ['fwmark 7 ipv6', 'fwmark 7 ipv6', '-f 7 -6'],
  ])('service %s', (text, title, words) => {
    expect(read({ services: [text] })).toMatchObject({ value: { services: [{ title, words }] } });
  });

  test.each([
    '192.0.2.1',
    'lb.example.org:80',
    '2001:db8::1:80',
    '[192.0.2.1]:80',
    '192.0.2.1:0',
    'fwmark 0',
    'fwmark',
  ])('service %s is none', (services) => {
    expect(read({ services })).toMatchObject({ ok: false });
  });

  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.1:8080', '10.0.0.1:8080'],
    ['2001:db8:0::1', '[2001:db8::1]'],
    ['[2001:db8::1]:80', '[2001:db8::1]:80'],
  ])('server %s', (text, address) => {
    expect(read({ servers: { web1: text } })).toMatchObject({ value: { servers: { web1: address } } });
  });

  test('a file whose name means anything to a shell is refused', () => {
    expect(read({ save: '/etc/ipvsadm.rules; reboot' })).toMatchObject({
      problems: [
        'save: expected the absolute path of a file, of letters, digits and -_./, got "/etc/ipvsadm.rules; reboot"',
      ],
    });
  });
});
