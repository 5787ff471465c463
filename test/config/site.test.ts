import { assert, describe, expect, test } from 'vitest';
import { balancerKinds } from '../../src/adapters/balancers/index.ts';
import { Secret } from '../../src/core/secret.ts';
import { haproxy, least, noFiles, problemsOfAll, problemsWith, siteWith } from './parsing.ts';

const kinds = Object.keys(balancerKinds)
  .map((kind) => `'${kind}'`)
  .join(' or ');

describe('defaults', () => {
  test('a site that says the least has every other setting', () => {
    expect(siteWith({ nodes: ['web1'] })).toEqual({
      name: 'shop',
      stage: 'production',
      source: {
        kind: 'git',
        url: 'git@git.example.org:shop.git',
        ref: 'main',
        directory: '.',
        submodules: true,
        build: [],
        env: {},
        exclude: [],
        timeoutMs: 1_800_000,
      },
      deployTo: '/srv/shop',
      linkedDirs: [],
      linkedFiles: [],
      shared: null,
      localDirs: [],
      assets: [],
      cron: null,
      keepReleases: 5,
      nodes: [
        {
          name: 'web1',
          address: 'web1',
          user: null,
          port: null,
          pool: null,
          traffic: true,
          roles: [],
          labels: {},
        },
      ],
      lists: [],
      balancers: [],
      strategy: { name: 'rolling', options: { batch: [1], hold: null } },
      servingMin: 1,
      drift: { paths: expect.arrayContaining(['/etc/nginx', '/etc/apache2']), ignore: [] },
      drain: { timeoutMs: 60_000, onTimeout: 'put-back', enableTimeoutMs: 60_000, port: null },
      checks: [],
      activate: [],
      hooks: [],
      maintenance: null,
      preview: null,
      notices: [],
      become: null,
      ssh: {
        transport: 'ssh2',
        user: null,
        port: null,
        keys: [],
        agent: true,
        jump: [],
        configFile: '/home/ann/.ssh/config',
        knownHosts: [],
        hostKeys: 'strict',
        connectTimeoutMs: 10_000,
        keepAliveMs: 15_000,
        attemptsMax: 3,
      },
      onFailure: 'rollback',
      failuresMax: 0,
      witnesses: [],
      addresses: [],
    });
  });

  test('a check of https asks port 443, one of http port 80, unless it says another', () => {
    const checks = [
      { path: '/' },
      { path: '/', scheme: 'https' },
      { path: '/', scheme: 'https', port: 8443 },
    ];
    expect(siteWith({ checks }).checks).toEqual([
      {
        path: '/',
        scheme: 'http',
        port: 80,
        host: null,
        status: 200,
        expect: null,
        attemptsMax: null,
        intervalMs: 1000,
        timeoutMs: 60_000,
        via: 'ssh',
      },
      expect.objectContaining({ scheme: 'https', port: 443 }),
      expect.objectContaining({ scheme: 'https', port: 8443 }),
    ]);
  });
});

describe('values', () => {
  test('paths inside the release lose what git would not write', () => {
    const site = siteWith({
      linkedDirs: ['./storage//logs/'],
      deployTo: '/srv//shop/',
      source: { git: 'x', directory: './' },
    });
    assert(site.source.kind === 'git');
    expect([site.linkedDirs, site.deployTo, site.source.directory]).toEqual([
      ['storage/logs'],
      '/srv/shop',
      '.',
    ]);
  });

  test('local paths are relative to the config, or to the home directory', () => {
    const site = siteWith({
      source: { git: '../shop.git' },
      ssh: { keys: ['~/.ssh/deploy', 'keys/deploy', '/etc/keys/deploy'], config: false },
    });
    expect(site.source).toMatchObject({ url: '/home/ann/shop.git' });
    expect(site.ssh.keys).toEqual([
      '/home/ann/.ssh/deploy',
      '/home/ann/shop/keys/deploy',
      '/etc/keys/deploy',
    ]);
    expect(site.ssh.configFile).toBeNull();
  });

  test('servingMin in percent is rounded up', () => {
    const floor = (servingMin: unknown, nodes = ['web[1:10]']) => siteWith({ servingMin, nodes }).servingMin;
    expect(floor('50%', ['web[1:5]'])).toBe(3);
    expect(floor('81%')).toBe(9);
    expect(floor('0%')).toBe(0);
    expect(floor('70%')).toBe(7);
    expect(floor(7)).toBe(7);
  });

  test('a strategy may be one of your own, which is taken as it stands', () => {
    const own = { name: 'mine', summary: 'As I like it.', *steps() {} };
    expect(siteWith({ strategy: own }).strategy).toMatchObject({ name: 'mine' });
    expect((siteWith({ strategy: own }).strategy.options.own as typeof own).steps).toBe(own.steps);
  });

  test('the steps of the canary strategy are options, and no strategy of your own', () => {
    const { name, options } = siteWith({
      strategy: { name: 'canary', steps: [{ nodes: 1, bake: '3s' }] },
    }).strategy;
    expect(name).toBe('canary');
    expect(options.steps).toMatchObject([{ nodes: 1, bake: 3000 }]);
  });

  test('a strategy is named by a text, or by an object with its options', () => {
    expect(siteWith({ strategy: 'all-at-once' }).strategy).toEqual({ name: 'all-at-once', options: {} });
    expect(siteWith({ strategy: { name: 'rolling', batch: [1, '30%', '100%'] } }).strategy).toEqual({
      name: 'rolling',
      options: { batch: [1, '30%', '100%'], hold: null },
    });
  });

  test('a balancer has its name, its kind and the options of that kind', () => {
    const [balancer] = siteWith({ balancers: { lb1: haproxy } }).balancers;
    expect(balancer).toMatchObject({
      name: 'lb1',
      kind: 'haproxy',
      options: { backend: ['web'], timeout: 5000 },
    });
  });
});

describe('nodes', () => {
  const nodes = (...list: unknown[]) =>
    siteWith({ nodes: list }).nodes.map(({ name, address }) => `${name} ${address}`);

  test('a range stands for many nodes, padded as its first number is', () => {
    expect(nodes('web[08:11].example.org')).toEqual([
      'web08.example.org web08.example.org',
      'web09.example.org web09.example.org',
      'web10.example.org web10.example.org',
      'web11.example.org web11.example.org',
    ]);
    expect(nodes('web[9:10]')).toEqual(['web9 web9', 'web10 web10']);
  });

  test('name and address of an object may hold ranges of one length', () => {
    expect(nodes({ name: 'web[01:02]', address: '10.0.0.[11:12]' })).toEqual([
      'web01 10.0.0.11',
      'web02 10.0.0.12',
    ]);
  });

  test('every node of a range has the settings of the object', () => {
    const [, second] = siteWith({
      nodes: [{ name: 'web[1:2]', user: 'deploy', port: 2222, roles: ['app'], labels: { env: 'eu' } }],
    }).nodes;
    expect(second).toEqual({
      name: 'web2',
      address: 'web2',
      user: 'deploy',
      port: 2222,
      roles: ['app'],
      pool: null,
      traffic: true,
      labels: { env: 'eu' },
    });
  });

  test.each([
    ['web[5:1]', 'nodes[0]: expected a range that counts up, got "web[5:1]"'],
    ['web[1:100000]', 'nodes[0]: expected at most 1000 nodes, got 100000'],
    ['web[1:2]-[1:2]', 'nodes[0]: expected one range of the form \'[01:20]\', got "web[1:2]-[1:2]"'],
    ['web[a:c]', 'nodes[0]: expected one range of the form \'[01:20]\', got "web[a:c]"'],
    ['-oProxyCommand=x', 'nodes[0]: expected the name of a node, got "-oProxyCommand=x"'],
    ['deploy@web1', 'nodes[0]: expected the name of a node, got "deploy@web1"'],
    [42, "nodes[0]: expected a host name such as 'web[01:20].example.org', or an object, got 42"],
    [{}, 'nodes[0]: expected a name or an address, got neither'],
    [{ name: 'a[1:3]', address: 'b[1:2]' }, 'nodes[0]: expected as many addresses as names (3), got 2'],
    [{ name: 'a', adress: 'b' }, 'nodes[0].adress: unknown setting; did you mean address?'],
    [{ name: 'a', port: 70000 }, 'nodes[0].port: expected a whole number from 1 to 65535, got 70000'],
  ])('%j is refused', (node, message) => {
    expect(problemsWith({ nodes: [node] })).toEqual([message]);
  });
});

describe('hooks', () => {
  test('stand in the order of the points, named by their place unless they have a name', () => {
    const run = () => undefined;
    const site = siteWith({
      hooks: {
        'after:deploy': [run, { use: 'smoke-test', path: '/up', timeout: '30s', name: 'smoke' }],
        'before:activate': [
          { run: ['bin/migrate'], once: true },
          { run: 'say hello', on: 'operator' },
        ],
      },
    });
    expect(site.hooks).toEqual([
      {
        name: 'after:deploy[0]',
        point: 'after:deploy',
        action: { kind: 'function', run, timeoutMs: 600_000 },
      },
      {
        name: 'smoke',
        point: 'after:deploy',
        action: {
          kind: 'function',
          run: expect.any(Function),
          options: { path: '/up', port: null, host: null, status: 200, expect: null },
          timeoutMs: 30_000,
        },
      },
      {
        name: 'before:activate[0]',
        point: 'before:activate',
        action: { kind: 'nodes', command: ['bin/migrate'], role: null, once: true, timeoutMs: 600_000 },
      },
      {
        name: 'before:activate[1]',
        point: 'before:activate',
        action: { kind: 'operator', command: 'say hello', timeoutMs: 600_000 },
      },
    ]);
  });

  test.each([
    [{ 'before:acivate': [] }, 'hooks["before:acivate"]: unknown setting; did you mean before:activate?'],
    [{ failed: ['x'] }, 'hooks.failed[0]: expected a hook: { run: … }, { use: … } or a function, got "x"'],
    [
      { failed: [{}] },
      "hooks.failed[0].run: expected a command (a list such as ['npm', 'ci'], or a text for sh -c), got nothing",
    ],
    [
      { failed: [{ use: 'slak', url: 'x' }] },
      "hooks.failed[0].use: expected 'smoke-test' or 'run-command' or 'webhook' or 'slack', got \"slak\"; did you mean slack?",
    ],
    [
      { failed: [{ use: 'constructor' }] },
      "hooks.failed[0].use: expected 'smoke-test' or 'run-command' or 'webhook' or 'slack', got \"constructor\"",
    ],
    [
      { failed: [{ use: 'slack', url: 'https://x.example', chanel: 1 }] },
      'hooks.failed[0].chanel: unknown setting',
    ],
    [
      { failed: [{ run: 'x', on: 'operator', once: true }] },
      "hooks.failed[0].once: only a hook with on: 'nodes' can have this",
    ],
    [
      { failed: [{ run: [] }] },
      "hooks.failed[0].run: expected a command (a list such as ['npm', 'ci'], or a text for sh -c), got an empty list",
    ],
  ])('%j is refused', (hooks, message) => {
    expect(problemsWith({ hooks })).toEqual([message]);
  });
});

describe('secrets', () => {
  const reveal = (value: unknown) => (value instanceof Secret ? value.reveal() : value);
  const envOf = (env: object) => ({ source: { git: 'x', env } });

  test('are read from the environment and from files', () => {
    const site = siteWith(
      envOf({ TOKEN: { env: 'CI_TOKEN' }, KEY: { file: '~/key' }, PLAIN: 'as it stands' }),
      {
        env: { HOME: '/home/ann', CI_TOKEN: 's1' },
        readFile: (path) => (path === '/home/ann/key' ? 's2\n' : noFiles(path)),
      },
    );
    assert(site.source.kind === 'git');
    expect(Object.entries(site.source.env).map(([key, value]) => [key, reveal(value)])).toEqual([
      ['TOKEN', 's1'],
      ['KEY', 's2'],
      ['PLAIN', 'as it stands'],
    ]);
    expect(JSON.stringify(site)).not.toMatch(/s1|s2/);
  });

  test('that are missing are problems at their path', () => {
    expect(problemsWith(envOf({ TOKEN: { env: 'CI_TOKEN' }, KEY: { file: 'key' } }))).toEqual([
      'source.env.TOKEN: the environment variable CI_TOKEN is not set',
      "source.env.KEY: key could not be read: ENOENT: no such file or directory, open '/home/ann/shop/key'",
    ]);
  });

  test('of another stage are not asked for', () => {
    const stages = { production: {}, staging: envOf({ TOKEN: { env: 'CI_TOKEN' } }) };
    expect(problemsWith({ stages })).toEqual([]);
  });

  test('reach the options of hooks and balancers', () => {
    const settings = { hooks: { failed: [{ use: 'slack', url: { env: 'SLACK_URL' } }] } };
    expect(problemsWith(settings)).toEqual([
      'hooks.failed[0].url: the environment variable SLACK_URL is not set',
    ]);
    expect(problemsWith(settings, { env: { SLACK_URL: 'https://hooks.example.org' } })).toEqual([]);
  });
});

describe('what is wrong', () => {
  test('is said all at once', () => {
    expect(
      problemsWith({
        nmae: 'x',
        deployTo: 'srv',
        keepReleases: 1,
        linkedDirs: ['a', 'a'],
        source: { ref: 5 },
      }),
    ).toEqual([
      'nmae: unknown setting; did you mean name?',
      'source.git: expected a git URL or path, got nothing',
      'source.ref: expected a branch, tag or commit, got 5',
      "deployTo: expected an absolute path other than '/', without '..', got \"srv\"",
      'keepReleases: expected a whole number from 2 to 1000, got 1',
      'linkedDirs[1]: a is linked already (linkedDirs[0])',
    ]);
  });

  test.each([
    [{ name: 'my shop' }, 'name: expected a name of letters, digits, dots and dashes, got "my shop"'],
    [{ name: '' }, 'name: expected a name of letters, digits, dots and dashes, got ""'],
    [{ name: { env: 'X' } }, 'name: expected a name of letters, digits, dots and dashes, got an object'],
    [{ deployTo: '/' }, "deployTo: expected an absolute path other than '/', without '..', got \"/\""],
    [
      { deployTo: '/srv/../etc' },
      "deployTo: expected an absolute path other than '/', without '..', got \"/srv/../etc\"",
    ],
    [
      { deployTo: '/srv/a\nb' },
      "deployTo: expected an absolute path other than '/', without '..', got \"/srv/a\\nb\"",
    ],
    [
      { linkedDirs: ['../x'] },
      "linkedDirs[0]: expected a path inside the release, without '..' or a leading '/', got \"../x\"",
    ],
    [
      { linkedDirs: ['/x'] },
      "linkedDirs[0]: expected a path inside the release, without '..' or a leading '/', got \"/x\"",
    ],
    [
      { linkedDirs: ['.'] },
      "linkedDirs[0]: expected a path inside the release, without '..' or a leading '/', got \".\"",
    ],
    [
      { linkedFiles: ['a\0'] },
      "linkedFiles[0]: expected a path inside the release, without '..' or a leading '/', got \"a\\u0000\"",
    ],
    [
      { linkedFiles: '.env' },
      "linkedFiles: expected a list, each entry a path inside the release, without '..' or a leading '/', got \".env\"",
    ],
    [{ source: { git: '--upload-pack=x' } }, 'source.git: expected a git URL or path, got "--upload-pack=x"'],
    [{ source: { git: 'ext::sh -c x' } }, 'source.git: expected a git URL or path, got "ext::sh -c x"'],
    [{ source: { git: 'x', ref: '-x' } }, 'source.ref: expected a branch, tag or commit, got "-x"'],
    [{ source: { git: 'x', ref: 'a..b' } }, 'source.ref: expected a branch, tag or commit, got "a..b"'],
    [
      { source: { git: 'x', build: 'make' } },
      "source.build: expected a list, each entry a command (a list such as ['npm', 'ci'], or a text for sh -c), got \"make\"",
    ],
    [
      { source: { git: 'x', env: { 'A-B': '' } } },
      'source.env.A-B: expected the name of a variable as the key, got "A-B"',
    ],
    [
      { source: { git: 'x', env: { CI: true } } },
      "source.env.CI: expected a text, { env: 'NAME' } or { file: '/path' }, got true",
    ],
    [
      { source: { git: 'x', timeout: 30 } },
      "source.timeout: expected a duration with its unit, such as '500ms', '30s' or '5m', at most '168h', got 30",
    ],
    [{ nodes: [] }, 'nodes: expected at least 1 entry, got an empty list'],
    [
      { nodes: undefined },
      "nodes: expected a list of host names such as 'web[01:20].example.org', or of objects; or an object with from, alone or in that list, got nothing",
    ],
    [
      { balancers: { lb: { kind: 'haproxi' } } },
      `balancers.lb.kind: expected ${kinds}, got "haproxi"; did you mean haproxy?`,
    ],
    [{ balancers: { lb: 'haproxy' } }, `balancers.lb: expected an object with kind: ${kinds}, got "haproxy"`],
    [
      { balancers: { lb: { ...haproxy, sockets: 1 } } },
      'balancers.lb.sockets: unknown setting; did you mean socket?',
    ],
    [
      { strategy: 'roling' },
      "strategy: expected 'rolling' or 'all-at-once' or 'canary' or 'blue-green', got \"roling\"; did you mean rolling?",
    ],
    [{ strategy: { name: 'rolling', bach: 2 } }, 'strategy.bach: unknown setting; did you mean batch?'],
    [
      { strategy: { batch: 2 } },
      "strategy.name: expected 'rolling' or 'all-at-once' or 'canary' or 'blue-green', got nothing",
    ],
    [
      { strategy: { name: 'mine', steps: 'rolling' } },
      'strategy: expected a strategy of your own: an object with a name, a summary and a function steps, got an object',
    ],
    [{ servingMin: -1 }, "servingMin: expected a count of nodes such as 2, or a part such as '50%', got -1"],
    [
      { servingMin: '120%' },
      'servingMin: expected a count of nodes such as 2, or a part such as \'50%\', got "120%"',
    ],
    [
      { drain: { timeout: '1 minute' } },
      "drain.timeout: expected a duration with its unit, such as '500ms', '30s' or '5m', at most '168h', got \"1 minute\"",
    ],
    [
      { drain: { timeout: '9999h' } },
      "drain.timeout: expected a duration with its unit, such as '500ms', '30s' or '5m', at most '168h', got \"9999h\"",
    ],
    [{ drain: { ontimeout: 'force' } }, 'drain.ontimeout: unknown setting; did you mean onTimeout?'],
    [{ checks: [{ path: 'up' }] }, 'checks[0].path: expected a path that begins with \'/\', got "up"'],
    [{ checks: [{ path: '/a b' }] }, 'checks[0].path: expected a path that begins with \'/\', got "/a b"'],
    [
      { checks: [{ path: '/', host: 'a\r\nb' }] },
      'checks[0].host: expected a host name such as \'www.example.org\', got "a\\r\\nb"',
    ],
    [{ become: '-x' }, 'become: expected a user name, got "-x"'],
    [{ ssh: { hostKeys: 'no' } }, "ssh.hostKeys: expected 'strict' or 'accept-new', got \"no\""],
    [
      { ssh: { jump: ['-J'] } },
      'ssh.jump[0]: expected a machine to jump through, as \'user@host:port\', got "-J"',
    ],
    [
      { ssh: { config: true } },
      "ssh.config: expected a path such as '~/.ssh/id_ed25519', or false, got true",
    ],
    [
      { onFailure: 'undo' },
      "onFailure: expected 'rollback' or 'rollback-batch' or 'halt' or 'hold', got \"undo\"",
    ],
    [{ stages: {} }, 'stages: expected at least one stage, each an object, got an object'],
    [{ stages: { staging: {} } }, 'stages: there is no stage production'],
    [{ stages: { producton: {} } }, 'stages: there is no stage production; did you mean producton?'],
    [{ stages: { production: 'x' } }, 'stages.production: expected an object, got "x"'],
    [{ stages: { production: { name: 'x' } } }, 'stages.production.name: a stage cannot change it'],
  ])('%j is refused by name', (settings, message) => {
    expect(problemsWith(settings)).toEqual([message]);
  });

  test.each([undefined, null, 'a text', [least], 42])('a config that is %j is refused', (config) => {
    expect(problemsOfAll(config)[0]).toMatch(/^expected an object of settings, got /);
  });
});

describe('hostile input', () => {
  test('keys of the prototype are keys like any other', () => {
    const raw = JSON.parse('{"__proto__": {"polluted": 1}, "constructor": 1, "stages": {"production": {}}}');
    expect(problemsOfAll(raw)).toContain('constructor: unknown setting');
    expect(problemsOfAll(raw)).toContain('__proto__: unknown setting');
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  test('a stage by the name of a property of objects is no stage', () => {
    expect(problemsOfAll(least, { stage: 'constructor' })).toEqual(['stages: there is no stage constructor']);
  });

  test('values that lead back to themselves are refused', () => {
    const raw: Record<string, unknown> = { ...least };
    raw.drain = { again: raw };
    expect(problemsOfAll(raw)).toEqual([
      'expected a config that a person could have written, got one without end',
    ]);
  });

  test('values that multiply are refused in no time', () => {
    const multiplied = Array.from({ length: 12 }).reduce<unknown>((inner) => Array(10).fill(inner), 'x');
    expect(problemsOfAll({ ...least, labels: multiplied })).toEqual([
      'expected a config that a person could have written, got one without end',
    ]);
  });

  test('no error shows the password of a URL', () => {
    const [message] = problemsWith({ source: { git: ' https://ann:S3NT1NEL@git.example.org' } });
    expect(message).toBe('source.git: expected a git URL or path, got " https://[secret]@git.example.org"');
  });
});
