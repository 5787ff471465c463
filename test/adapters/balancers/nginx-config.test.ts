import { describe, expect, test } from 'vitest';
import {
  defaultOf,
  isDown,
  type ServerEdit,
  serversIn,
  withDefaultOf,
  withServers,
} from '../../../src/adapters/balancers/nginx-config.ts';

const config = `# upstream shop { server 10.0.0.9; }
map "" $shop_live { default shop; } # in use
upstream shop {
\tzone shop 64k;
\tserver 10.0.0.1:8080 weight=100 max_fails=0; # the first frontend
\tserver  "10.0.0.2:8080"
\t\tweight=50   fail_timeout=5s;
\tserver web3.internal:8080 down;
}
upstream admin { server 10.0.0.1:8080; server '[::1]:80' backup; }
server {
\tserver_name shop.example.org "a;b{c}" \${host}x;
\tlocation ~ "^/a{2}$" { proxy_pass http://$shop_live; }
}
`;

const edit = (address: string, more: Partial<ServerEdit>): ServerEdit => ({
  upstream: 'shop',
  address,
  ...more,
});

/** The lines in which the text differs now. */
const changed = (edits: readonly ServerEdit[], from = config): readonly string[] => {
  const before = from.split('\n');
  return withServers(from, edits)
    .split('\n')
    .filter((line) => !before.includes(line));
};

describe('the servers of a configuration', () => {
  test('are those of its upstreams, whatever comments and other blocks say', () => {
    expect(serversIn(config)).toEqual([
      { upstream: 'shop', address: '10.0.0.1:8080', rotation: 'in', weight: { now: 100, configured: 100 } },
      { upstream: 'shop', address: '10.0.0.2:8080', rotation: 'in', weight: { now: 50, configured: 50 } },
      { upstream: 'shop', address: 'web3.internal:8080', rotation: 'out', weight: { now: 1, configured: 1 } },
      { upstream: 'admin', address: '10.0.0.1:8080', rotation: 'in', weight: { now: 1, configured: 1 } },
      { upstream: 'admin', address: '[::1]:80', rotation: 'in', weight: { now: 1, configured: 1 } },
    ]);
  });

  test('are found in a block within another', () => {
    expect(serversIn(`http {\n${config}\n}`)).toHaveLength(5);
  });

  test.each([
    ['upstream shop { server a;', 'the block of upstream does not end'],
    ['upstream shop { server a; } }', 'a } closes no block'],
    ['upstream shop {\n server "a;\n}', 'line 2 cannot be read'],
  ])('%j is refused', (text, why) => {
    expect(() => serversIn(text)).toThrow(why);
  });
});

describe('a change of servers', () => {
  test('adds or removes one word of one line', () => {
    expect(changed([edit('10.0.0.1:8080', { rotation: 'out' })])).toEqual([
      '\tserver 10.0.0.1:8080 weight=100 max_fails=0 down; # the first frontend',
    ]);
    expect(changed([edit('10.0.0.2:8080', { rotation: 'out' })])).toEqual([
      '\t\tweight=50   fail_timeout=5s down;',
    ]);
    expect(changed([edit('web3.internal:8080', { rotation: 'in' })])).toEqual([
      '\tserver web3.internal:8080;',
    ]);
  });

  test('that is so already changes nothing', () => {
    const edits = [
      edit('10.0.0.1:8080', { rotation: 'in', now: 100 }),
      edit('web3.internal:8080', { rotation: 'out' }),
    ];
    expect(withServers(config, edits)).toBe(config);
  });

  test('leaves servers of that address in other upstreams alone', () => {
    expect(changed([{ upstream: 'admin', address: '10.0.0.1:8080', rotation: 'out' }])).toEqual([
      `upstream admin { server 10.0.0.1:8080 down; server '[::1]:80' backup; }`,
    ]);
  });

  test('that is taken back leaves every byte as it was', () => {
    const addresses = ['10.0.0.1:8080', '10.0.0.2:8080'];
    for (const now of [25, 0, 7]) {
      const there = withServers(
        config,
        addresses.map((address) => edit(address, { rotation: 'out', now })),
      );
      expect(there).not.toBe(config);
      const away = withServers(
        there,
        addresses.map((address) => edit(address, { rotation: 'in' })),
      );
      const configured = (address: string) =>
        serversIn(there).find((server) => server.address === address)!.weight.configured;
      const back = addresses.map((address) => edit(address, { now: configured(address) }));
      expect(withServers(away, back)).toBe(config);
    }
  });

  test('of weight notes the configured one behind the line, and reads it from there', () => {
    const lowered = withServers(config, [edit('10.0.0.1:8080', { now: 25 })]);
    expect(lowered).toContain(
      '\tserver 10.0.0.1:8080 weight=25 max_fails=0; # sluice: weight 25 of 100 # the first frontend\n',
    );
    expect(serversIn(lowered)[0]).toMatchObject({ rotation: 'in', weight: { now: 25, configured: 100 } });
    expect(changed([edit('10.0.0.1:8080', { now: 60 })], lowered)).toEqual([
      '\tserver 10.0.0.1:8080 weight=60 max_fails=0; # sluice: weight 60 of 100 # the first frontend',
    ]);
  });

  test('to a weight of 0 is a server that is down, and comes back by its weight alone', () => {
    const idle = withServers(config, [edit('10.0.0.1:8080', { now: 0 })]);
    expect(idle).toContain('weight=100 max_fails=0 down; # sluice: weight 0 of 100 # the');
    const [server] = serversIn(idle);
    expect(server).toMatchObject({ rotation: 'in', weight: { now: 0, configured: 100 } });
    expect(isDown(server!)).toBe(true);
    const out = withServers(idle, [edit('10.0.0.1:8080', { rotation: 'out' })]);
    expect(out).toContain('down; # sluice: weight 0 of 100, out # the');
    expect(serversIn(out)[0]).toMatchObject({ rotation: 'out' });
    expect(withServers(out, [edit('10.0.0.1:8080', { now: 100 })])).toContain(
      'max_fails=0 down; # the first',
    );
  });

  test('of weight in a block of one line parts it there until it is taken back', () => {
    const line = 'upstream shop { server a weight=100; server b weight=100; }';
    const lowered = withServers(line, [edit('a', { now: 25 }), edit('b', { now: 0 })]);
    expect(lowered).toBe(
      'upstream shop { server a weight=25; # sluice: weight 25 of 100 \\\n' +
        ' server b weight=100 down; # sluice: weight 0 of 100 \\\n }',
    );
    expect(serversIn(lowered).map(({ weight }) => weight.now)).toEqual([25, 0]);
    expect(withServers(lowered, [edit('a', { now: 100 }), edit('b', { now: 100 })])).toBe(line);
  });

  test('somebody else’s change of a line counts more than what was noted behind it', () => {
    const lowered = withServers(config, [edit('10.0.0.1:8080', { now: 25 })]);
    const byHand = lowered.replace('weight=25 max', 'weight=80 max');
    expect(serversIn(byHand)[0]).toMatchObject({ weight: { now: 80, configured: 80 } });
    const idle = withServers(config, [edit('10.0.0.1:8080', { now: 0 })]);
    expect(serversIn(idle.replace('=0 down', '=0'))[0]).toMatchObject({
      weight: { now: 100, configured: 100 },
    });
  });
});

describe('the default of a map', () => {
  test('is read and replaced, and nothing else is', () => {
    expect(defaultOf(config, 'shop_live')).toBe('shop');
    expect(withDefaultOf(config, 'shop_live', 'shop_green')).toBe(
      config.replace('default shop;', 'default shop_green;'),
    );
    expect(defaultOf('map $host $live { hostnames; default "shop_blue"; }', 'live')).toBe('shop_blue');
  });

  test('of another variable is none', () => {
    expect(defaultOf(config, 'live')).toBeNull();
    expect(() => withDefaultOf(config, 'live', 'x')).toThrow('no map sets $live');
  });
});
