import { expect, test } from 'vitest';
import { backendConnections } from '../../src/commands/varnishstat.ts';

test('asks for the connections in use, of the instance that is named', () => {
  expect(backendConnections(null, 5000).script).toBe("varnishstat -1 -j -t 1 -f 'VBE.*.conn'");
  expect(backendConnections('/run/shop', 5000).script).toContain(' -n /run/shop');
});

test('reads each counter by its name', () => {
  const { parse } = backendConnections(null, 5000);
  const counters = { 'VBE.boot.web1.conn': { flag: 'g', format: 'i', value: 3 } };
  expect(parse(JSON.stringify({ version: 1, counters }))).toEqual(new Map([['VBE.boot.web1.conn', 3]]));
});

test.each([['no JSON'], ['[]'], ['{}'], ['{"counters":{"VBE.boot.web1.conn":{"value":"3"}}}']])(
  'refuses %s',
  (stdout) => {
    expect(() => backendConnections(null, 5000).parse(stdout)).toThrow();
  },
);
