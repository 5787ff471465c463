import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { editIpvs, type IpvsEdit } from '../../src/commands/ipvs.ts';
import { setMaintenanceFiles } from '../../src/commands/ldirectord.ts';

const edit = (more: Partial<IpvsEdit> = {}): IpvsEdit => ({
  service: '-t [fd00::1]:80',
  server: {
    address: '[fd00::3]:80',
    forwarding: ['-i', '--tun-type', 'ipip'],
    thresholds: ['-x', '5', '-y', '2'],
    weight: 100,
    active: 0,
    note: null,
  },
  weight: 0,
  note: { rotation: 'out', weight: 100 },
  ...more,
});

test('an edit says all again that it is not to change, and is what people are shown', () => {
  const { script, summary } = editIpvs({ edits: [edit()], save: null, sudo: false });
  const line = "ipvsadm -e -t '[fd00::1]:80' -r '[fd00::3]:80' -i --tun-type ipip -w 0 -x 5 -y 2";
  expect(summary).toBe(line);
  expect(script.split('\n')).toContain(line);
});

test('a note is there before its edit, and goes after it', () => {
  const order = (one: IpvsEdit, mark: string) => {
    const { script } = editIpvs({ edits: [one], save: null, sudo: false });
    return script.indexOf('ipvsadm -e') - script.indexOf(mark);
  };
  expect(order(edit(), 'printf')).toBeGreaterThan(0);
  expect(order(edit({ weight: 100, note: null }), 'rm -f')).toBeLessThan(0);
});

test('every script is one that sh can read, through sudo too', () => {
  for (const sudo of [false, true]) {
    const orders = [
      { to: 'out', file: '[fd00::3]:80', entry: { service: '-f 7 -6', address: '[fd00::3]:0' } },
    ] as const;
    for (const { script } of [
      editIpvs({ edits: [edit()], save: '/etc/ipvsadm.rules', sudo }),
      setMaintenanceFiles({ config: '/etc/ha.d/ldirectord.cf', orders, withinSeconds: 1, sudo }),
    ])
      expect(() => execFileSync('sh', ['-n', '-c', script])).not.toThrow();
  }
});
