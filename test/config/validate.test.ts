import { describe, expect, test } from 'vitest';
import { haproxy, problemsWith } from './parsing.ts';

describe('linked paths', () => {
  test.each([
    [{ linkedDirs: ['log', 'tmp', 'log/'] }, ['linkedDirs[2]: log is linked already (linkedDirs[0])']],
    [
      { linkedDirs: ['storage/logs', 'storage'] },
      ['linkedDirs[0]: storage/logs lies inside storage, which is linked (linkedDirs[1])'],
    ],
    [
      { linkedDirs: ['config'], linkedFiles: ['config/a/b.yml', 'config.yml'] },
      ['linkedFiles[0]: config/a/b.yml lies inside config, which is linked (linkedDirs[0])'],
    ],
    [
      { linkedDirs: ['uploads'], shared: { linkedDirs: ['upload'] }, localDirs: ['log'] },
      [
        'shared.linkedDirs[0]: expected one of linkedDirs, got "upload"; did you mean uploads?',
        'localDirs[0]: expected one of linkedDirs, got "log"',
      ],
    ],
    [
      { linkedDirs: ['media'], shared: { linkedDirs: ['media'] }, localDirs: ['media'] },
      ['localDirs[0]: media is linked already (shared.linkedDirs[0])'],
    ],
    [
      { linkedDirs: ['public/uploads'], assets: ['public', 'public/uploads/css', 'public/build'] },
      [
        'assets[0]: public and public/uploads, which is linked (linkedDirs[0]), overlap',
        'assets[1]: public/uploads/css and public/uploads, which is linked (linkedDirs[0]), overlap',
      ],
    ],
    [{ linkedDirs: ['x'], linkedFiles: ['x'] }, ['linkedFiles[0]: x is linked already (linkedDirs[0])']],
    [{ linkedDirs: ['logs', 'log', 'log-old'], linkedFiles: ['log.txt'] }, []],
  ])('%j', (settings, problems) => {
    expect(problemsWith(settings)).toEqual(problems);
  });
});

describe('a seed', () => {
  const s3 = { s3: { bucket: 'shop-images' } };
  test.each<[object, string[]]>([
    [{ store: '/mnt/images' }, []],
    [{ store: '/mnt/images', deliver: 'storage' }, []],
    [{ store: s3 }, []],
    [{ store: s3, deliver: 'urls' }, []],
    [
      { store: '/mnt/images', deliver: 'urls' },
      ["source.seed.deliver: 'urls' needs a store in S3, and source.seed.store is the folder /mnt/images"],
    ],
    [
      { store: s3, deliver: 'storage' },
      [
        "source.seed.deliver: 'storage' needs a store in a folder that nodes mount, and source.seed.store is in S3",
      ],
    ],
    [
      { store: './images', deliver: 'storage' },
      [
        `source.seed.store: expected an absolute path, the same on the nodes (deliver: 'storage'), got "./images"`,
      ],
    ],
    [
      { store: { s3: { bucket: 'Images' } }, deliver: 'url' },
      [
        `source.seed.store.s3.bucket: expected a bucket's name such as 'shop-images', got "Images"`,
        `source.seed.deliver: expected 'stream' or 'storage' or 'urls', got "url"; did you mean urls?`,
      ],
    ],
    [{ store: 7 }, ['source.seed.store: expected a path, or an object with s3, got 7']],
  ])('%j', (settings, problems) => {
    const source = { seed: { host: 'seed.example.org', path: '/srv/app', ...settings } };
    expect(problemsWith({ source })).toEqual(problems);
  });
});

describe('nodes', () => {
  test.each([
    [['web1', 'web2', 'web1'], ['nodes[2]: web1 is the name of nodes[0] too']],
    [['web[1:3]', 'web[3:4]'], ['nodes[1]: web3 is the name of nodes[0] too']],
    [
      [
        { name: 'a', address: 'h' },
        { name: 'b', address: 'h' },
      ],
      ['nodes[1]: h:22 is the address of nodes[0] too'],
    ],
    [
      [
        { name: 'a', address: 'h' },
        { name: 'b', address: 'h', port: 2222 },
      ],
      [],
    ],
    [['a[1:600]', 'b[1:600]'], ['nodes: expected at most 1000 nodes, got 1200']],
  ])('%j', (nodes, problems) => {
    expect(problemsWith({ nodes })).toEqual(problems);
  });
});

describe('pools', () => {
  const nodes = [
    { name: 'web[1:2]', pool: 'blue' },
    { name: 'web[3:5]', pool: 'green' },
  ];
  const flippable = (backend: unknown) => ({ lb: { ...haproxy, backend } });
  test.each([
    [{ nodes, servingMin: 2, balancers: flippable({ blue: 'a', green: 'b' }) }, []],
    [
      { nodes, servingMin: 3, balancers: flippable({ blue: 'a', green: 'b' }) },
      ['servingMin: expected at most 2, the nodes of the smaller pool, got 3'],
    ],
    [
      { servingMin: 1, preview: { urls: ['http://lb1'] } },
      [
        'preview: expected nodes in two pools, got none in a pool',
        'preview: expected checks, which are asked there, got none',
      ],
    ],
    [
      { nodes, servingMin: 1, checks: [{ path: '/' }], preview: { urls: ['http://lb1/'] } },
      ['preview.urls[0]: expected an address such as \'https://lb1.example.org\', got "http://lb1/"'],
    ],
    [{ nodes: [...nodes, 'web9'], servingMin: 1 }, ['nodes[2]: expected a pool, as other nodes have one']],
    [{ nodes: nodes.slice(0, 1), servingMin: 1 }, ['nodes: expected two pools, got only blue']],
    [
      { nodes: [...nodes, { name: 'web9', pool: 'red' }], servingMin: 1 },
      ['nodes: expected two pools, got blue, green and red'],
    ],
    [
      { nodes, servingMin: 1, balancers: flippable({ blue: 'a', gren: 'b' }) },
      [
        'balancers.lb.backend.gren: no node is in this pool; did you mean green?',
        'balancers.lb.backend: expected a backend for pool green as well',
      ],
    ],
  ])('%j', (settings, problems) => {
    expect(problemsWith(settings)).toEqual(problems);
  });
});

describe('servingMin', () => {
  const balancers = { lb: haproxy };
  test.each([
    [{ servingMin: 3, balancers }, []],
    [
      { servingMin: 4, balancers },
      ['servingMin: expected at most 3 (of 4 nodes one must be able to leave), got 4'],
    ],
    [
      { servingMin: '76%', balancers },
      ['servingMin: expected at most 3 (of 4 nodes one must be able to leave), got "76%", which is 4 nodes'],
    ],
    [
      { nodes: ['web1'], balancers },
      [
        'servingMin: expected 0 (a single node leaves nobody behind when it leaves the balancer), got "50%", which is 1 node',
      ],
    ],
    [{ nodes: ['web1'], servingMin: 0, balancers }, []],
    [{ nodes: ['web1', 'web2'], balancers }, []],
    [{ servingMin: 4 }, []],
    [{ servingMin: 5 }, ['servingMin: expected at most 4, the number of nodes, got 5']],
  ])('%j', (settings, problems) => {
    expect(problemsWith(settings)).toEqual(problems);
  });
});

test('a balancer that maps a node which is not there is refused', () => {
  const balancers = {
    lb: { ...haproxy, servers: { 'web1.example.org': 's1', 'web5.example.org': 's5', db: 'x' } },
  };
  expect(problemsWith({ balancers })).toEqual([
    'balancers.lb.servers["web5.example.org"]: no node has this name; did you mean web1.example.org?',
    'balancers.lb.servers.db: no node has this name',
  ]);
});

test('an address that floats among balancers that are not there is refused', () => {
  const balancers = { lb1: haproxy, lb2: haproxy };
  const address = { kind: 'digitalocean', ip: '192.0.2.10', token: { env: 'T' } };
  const problems = (addresses: object) => problemsWith({ balancers, addresses }, { env: { T: 't' } });
  const good = { ...address, balancers: ['lb1', 'lb2'], droplets: { lb1: 1, lb2: 2 } };
  expect(problems({ front: good })).toEqual([]);
  expect(problems({ front: { ...good, balancers: ['lb1'] } })).toEqual([
    'addresses.front.balancers: expected a list of two balancers or more, got a list',
  ]);
  expect(problems({ front: { ...good, balancers: ['lb1', 'lb3'], droplets: { lb1: 1, lb4: 4 } } })).toEqual([
    'addresses.front.balancers[1]: no balancer has the name lb3; did you mean lb1?',
    'addresses.front.droplets.lb4: it does not float to lb4; did you mean lb1?',
    'addresses.front.droplets: expected the droplet of lb3 as well',
  ]);
  const elastic = { kind: 'aws', ip: '192.0.2.10', balancers: ['lb1', 'lb2'] };
  expect(problems({ front: { ...elastic, instances: { lb1: 'i-0abc1234', lb4: 'eni-0abc1234' } } })).toEqual([
    'addresses.front.instances.lb4: it does not float to lb4; did you mean lb1?',
    'addresses.front.instances: expected the instance of lb2 as well',
  ]);
  expect(problems({ front: { ...elastic, instances: { lb1: 'i-0abc1234', lb2: 'lb2' } } })).toEqual([
    'addresses.front.instances.lb2: expected the id of an instance or of a network interface, got "lb2"',
  ]);
});

test('a balancer is gone on without only where an address shows who gets the traffic', () => {
  const balancers = { lb1: { ...haproxy, onUnreachable: 'go on' }, lb2: haproxy };
  const front = { kind: 'keepalived', ip: '192.0.2.10', balancers: ['lb1', 'lb2'] };
  expect(problemsWith({ balancers, addresses: { front } })).toEqual([]);
  expect(problemsWith({ balancers })).toEqual([
    "balancers.lb1.onUnreachable: 'go on' needs an address in addresses that floats to lb1, which shows that another balancer gets the traffic",
  ]);
});

test('a hook for a role that no node has is refused', () => {
  const hooks = { 'after:activate': [{ run: 'x', role: 'bd' }], failed: [{ run: 'x', role: 'app' }] };
  expect(problemsWith({ hooks, nodes: [{ name: 'a', roles: ['app', 'db'] }] })).toEqual([
    'hooks["after:activate"][0].role: no node has the role bd; they have app and db',
  ]);
});

test.each([
  [{ node: 'other' }, ['cron.node: no node has the name other']],
  [{ role: 'bd' }, ['cron.role: no node has the role bd; they have app and db']],
  [{}, ['cron: expected either node or role, got neither']],
  [{ node: 'a', role: 'db' }, ['cron: expected either node or role, got both']],
  [{ node: 'a' }, []],
  [{ role: 'db' }, []],
])('the cron of %j', (owner, problems) => {
  const cron = { ...owner, jobs: [{ schedule: '@daily', run: 'x' }] };
  expect(problemsWith({ cron, nodes: [{ name: 'a', roles: ['app', 'db'] }] })).toEqual(problems);
});

test.each([
  [{}, ['cron: expected either jobs or file, got neither']],
  [{ file: 'x', jobs: [{ schedule: '@daily', run: 'x' }] }, ['cron: expected either jobs or file, got both']],
  [{ file: 'config/crontab', keptIn: 'systemd' }, []],
  [
    { jobs: [{ schedule: '@reboot', run: 'x' }], keptIn: 'systemd-user' },
    ['cron.jobs[0].schedule: timers of systemd have no @reboot'],
  ],
  [{ jobs: [{ schedule: '@reboot', run: 'x' }], keptIn: 'cron.d' }, []],
])('a cron of %j', (jobs, problems) => {
  expect(problemsWith({ cron: { node: 'a', ...jobs }, nodes: ['a'] })).toEqual(problems);
});

test('a cron that is held during migrations needs migrations', () => {
  const cron = { node: 'a', jobs: [{ schedule: '@daily', run: 'x' }], hold: 'migrations' };
  expect(problemsWith({ cron, nodes: ['a'] })).toEqual([
    'cron.hold: migrations are what migrate says, and it is not set',
  ]);
  expect(problemsWith({ cron, nodes: ['a'], migrate: { expand: 'x' } })).toEqual([]);
});

test('some node gets traffic, and all do where there are pools', () => {
  expect(problemsWith({ nodes: [{ name: 'a', traffic: false }], balancers: {}, servingMin: 0 })).toEqual([
    'nodes: expected a node that gets traffic, and all have traffic: false',
  ]);
  const nodes = [
    { name: 'a', pool: 'blue' },
    { name: 'b', pool: 'green' },
    { name: 'c', pool: 'green', traffic: false },
  ];
  expect(problemsWith({ nodes, servingMin: 0 })).toContain(
    'nodes[2].traffic: all nodes get traffic where there are pools',
  );
});

test('nodes without traffic do not count for the floor', () => {
  const nodes = ['a', 'b', { name: 'c', traffic: false }];
  expect(problemsWith({ nodes, servingMin: 3, balancers: {} })[0]).toMatch(/^servingMin: expected at most 2/);
});

test('workers have nodes, and the name of their hook', () => {
  const workers = { role: 'jobs', stop: 'x' };
  const hooks = { failed: [{ run: 'x', name: 'workers' }] };
  expect(problemsWith({ workers, hooks, nodes: [{ name: 'a', roles: ['web'] }] })).toEqual([
    'workers.role: no node has the role jobs; they have web',
    'hooks.failed[0].name: workers is the name of what is done for workers',
  ]);
});

test('a job of more than one line is refused', () => {
  const cron = { node: 'a', jobs: [{ schedule: '@daily', run: 'x\ny' }] };
  expect(problemsWith({ cron, nodes: ['a'] })).toEqual([
    'cron.jobs[0].run: expected a command on one line, got "x\\ny"',
  ]);
});

test('two hooks of one name are refused', () => {
  const hooks = { failed: [{ run: 'x', name: 'tell' }], 'before:deploy': [{ run: 'y', name: 'tell' }] };
  expect(problemsWith({ hooks })).toEqual([
    'hooks.failed[0].name: tell is the name of hooks["before:deploy"][0].name too',
  ]);
});

test('a rule waits until the settings that it needs can be read', () => {
  expect(problemsWith({ servingMin: 9, nodes: 'web1' })).toEqual([
    'nodes: expected a list of host names such as \'web[01:20].example.org\', or of objects, got "web1"',
  ]);
});
