import { describe, expect, test } from 'vitest';
import { deviations, isAlike, type MachineState, mostCommon } from '../../src/core/drift.ts';

const machine = (more: Partial<MachineState> = {}): MachineState => ({
  packages: { nginx: '1.22', php: '8.2' },
  paths: ['/etc/nginx'],
  files: { '/etc/nginx/nginx.conf': 'aa' },
  unread: [],
  ...more,
});

const between = (expected: MachineState, found: MachineState, ignore: readonly string[] = []) =>
  deviations({ expected, found }, ignore).map(
    ({ of, name, expected: from, found: to }) => `${of} ${name}: ${from} ${to}`,
  );

describe('between two machines', () => {
  test('nothing deviates where all is the same', () => {
    expect(between(machine(), machine())).toEqual([]);
  });

  test('packages and files are missing, additional or other', () => {
    const found = machine({
      packages: { nginx: '1.24', strace: '6' },
      files: { '/etc/nginx/nginx.conf': 'bb', '/etc/nginx/x': '-> y' },
    });
    expect(between(machine(), found)).toEqual([
      'package nginx: 1.22 1.24',
      'package php: 8.2 null',
      'package strace: null 6',
      'file /etc/nginx/nginx.conf: aa bb',
      'file /etc/nginx/x: null -> y',
    ]);
  });

  test('what is ignored may differ, and a pattern stands for the whole name', () => {
    const found = machine({ packages: { nginx: '1.24', php: '8.3', 'php.x': '1' }, files: {} });
    expect(between(machine(), found, ['ngin', 'php', '/etc/*.conf'])).toEqual([
      'package nginx: 1.22 1.24',
      'package php.x: null 1',
    ]);
    expect(between(machine(), found, ['n*x', 'p*p*', '/etc/nginx/*'])).toEqual([]);
  });

  test('what one of them could not read or did not look at is not compared', () => {
    const files = { '/etc/nginx/nginx.conf': 'aa', '/etc/nginx/keys/a': 'bb', '/etc/php/php.ini': 'cc' };
    const wider = machine({ paths: ['/etc/nginx', '/etc/php'], files });
    expect(between(wider, machine({ unread: ['/etc/nginx/keys'] }))).toEqual([]);
    expect(between(wider, machine({ unread: ['/etc/nginx/key'] }))).toEqual([
      'file /etc/nginx/keys/a: bb null',
    ]);
    expect(between(machine({ packages: null }), machine())).toEqual([]);
  });
});

describe('what most machines have', () => {
  test('is decided for each package and file by itself', () => {
    const most = mostCommon([
      machine({ packages: { nginx: '1.24', php: '8.2' } }),
      machine({ files: { '/etc/nginx/nginx.conf': 'bb' } }),
      machine({ packages: { nginx: '1.22', php: '8.2', strace: '6' } }),
    ]);
    expect(most).toEqual(machine());
  });

  test('is in a tie what the first has, and is not decided by who could not read it', () => {
    const [a, b] = [machine(), machine({ packages: {}, files: { '/etc/nginx/nginx.conf': 'bb' } })];
    expect(mostCommon([a, b])).toEqual(machine());
    expect(mostCommon([b, a]).packages).toEqual({});
    const blind = machine({ files: {}, unread: ['/etc/nginx'] });
    expect(mostCommon([blind, blind, a]).files).toEqual(a.files);
    expect(mostCommon([machine({ packages: null }), a]).packages).toEqual(a.packages);
  });
});

test('nodes are alike if each could be compared, and none deviates', () => {
  const node = { name: 'web1', problem: null, deviations: [], unread: ['/etc/nginx/keys'] };
  expect(isAlike({ image: null, nodes: [node] })).toBe(true);
  expect(isAlike({ image: null, nodes: [node, { ...node, problem: 'web2 is down.' }] })).toBe(false);
  const php = { of: 'package', name: 'php', expected: '8.2', found: null } as const;
  expect(isAlike({ image: null, nodes: [{ ...node, deviations: [php] }] })).toBe(false);
});
