import { describe, expect, test } from 'vitest';
import { assert } from '../../src/core/assert.ts';
import { failure } from '../../src/core/errors.ts';
import { report } from '../reporters/example-run.ts';
import { node, nodeNames, observation, oldRelease } from '../reporters/example-site.ts';
import { lock, proposal, site, sluice } from './fake-environment.ts';

const usageHint = 'hint: sluice --help shows the commands; sluice <command> --help shows its flags.\n';

describe('what is typed wrong is refused with the nearest that is right:', () => {
  test.each([
    ['deplyo production', "Unknown command 'deplyo'; did you mean deploy?\n"],
    ['deploy production --yess', "Unknown option '--yess'; did you mean --yes?\n"],
    ['drain production', "Missing required argument 'node'\n"],
    ['schema extra', "Too many arguments for 'schema'. Expected 0 arguments but got 1.\n"],
    ['deploy production --ref', "Option '--ref <ref>' argument missing\n"],
  ])('%s', async (line, message) => {
    const { status, stdout, stderr, calls } = await sluice(line);
    expect({ status, stdout, stderr }).toEqual({ status: 2, stdout: '', stderr: `${message}${usageHint}` });
    expect(calls).toEqual([]);
  });

  test.each([
    [
      'deploy production --yes --nodes web1,wbe2',
      'There is no node wbe2; there are web1, web2, web3 and web4.\nhint: did you mean web2?\n',
    ],
    ['drain production web9000', 'There is no node web9000; there are web1, web2, web3 and web4.\n'],
    [
      'rollback production --yes --to 3f2a9c1',
      '--to: expected a release such as 20260114093000, got "3f2a9c1".\n',
    ],
  ])('%s', async (line, message) => {
    const { status, stdout, stderr, calls } = await sluice(line);
    expect({ status, stdout, stderr }).toEqual({ status: 2, stdout: '', stderr: message });
    expect(calls.filter(([name]) => name !== 'load')).toEqual([]);
  });

  test('nothing at all shows the commands, and is not success', async () => {
    const { status, stdout, stderr } = await sluice('');
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('Usage: sluice');
  });
});

test('--version prints the version', async () => {
  expect(await sluice('--version')).toMatchObject({ status: 0, stdout: '1.2.3\n', stderr: '', calls: [] });
});

describe('deploy', () => {
  test('hands its flags over', async () => {
    const flags = '--ref v2 --nodes web2,web1 --strategy all-at-once --batch 1,30% --on-failure halt --yes';
    const { status, calls, portsClosed } = await sluice(`deploy shop/production ${flags}`);
    expect(status).toBe(0);
    expect(calls).toEqual([
      ['load', { wanted: 'shop/production', strategy: 'all-at-once', batch: '1,30%', onFailure: 'halt' }],
      ['deploy', { ref: 'v2', nodes: ['web1', 'web2'] }],
    ]);
    expect(portsClosed).toBe(true);
  });

  test('deploys what the config names to all nodes unless told otherwise', async () => {
    const { calls } = await sluice('deploy --yes');
    expect(calls[0]).toEqual(['load', { wanted: '' }]);
    expect(calls[1]).toEqual(['deploy', { ref: 'main', nodes: null }]);
  });

  test('is refused where nobody can be asked and nobody said yes', async () => {
    const { status, stderr, calls } = await sluice('deploy production');
    expect(status).toBe(2);
    expect(stderr).toBe('deploy asks before it changes anything, and this is no terminal: add --yes.\n');
    expect(calls).toEqual([]);
  });

  test.each([
    ['CI is true', { env: { CI: 'true' } }, 0],
    ['a person says y', { typed: 'y\n' }, 0],
    ['a person says Yes', { typed: 'Yes\n' }, 0],
    ['a person says no', { typed: 'no\n' }, 2],
    ['a person presses Enter', { typed: '\n' }, 2],
    ['the input ends', { typed: '' }, 2],
    ['CI is false', { env: { CI: 'false' } }, 2],
  ])('where %s it ends with the right status', async (_, options, status) => {
    expect((await sluice('deploy production', options)).status).toBe(status);
  });

  test('leaves standard input to others where it asks nothing', async () => {
    expect((await sluice('deploy production --yes')).inputRead).toBe(false);
    expect((await sluice('deploy production', { typed: 'y\n' })).inputRead).toBe(true);
  });

  test('shows the plan before it asks', async () => {
    const { stdout, stderr } = await sluice('deploy production', { typed: 'n\n' });
    expect(stdout).toContain('Plan of the deploy of production: Renew 1 node at a time');
    expect(stderr).toBe('Carry out 10 steps? [y/N] ');
  });

  test.each([
    ['github', '##[error]gone', '# #[error]gone'],
    ['gitlab', '\u001b[0Kgone', '[0Kgone'],
  ] as const)('shows no commit as a command to the log of %s', async (name, subject, shown) => {
    const commits = [{ revision: 'a'.repeat(40), author: 'Eve', subject }];
    const { stdout } = await sluice(`deploy --yes --reporter ${name}`, {
      engine: {
        deploy: async ({ confirm }) => {
          await confirm({ ...proposal, comparison: { commits, behind: 0 } });
          return report();
        },
      },
    });
    expect(stdout).toContain(`Eve  ${shown}\n`);
  });

  test('keeps standard output for JSON alone', async () => {
    const event = { atMs: 1, type: 'note', level: 'info', text: 'hello' } as const;
    const { stdout, stderr } = await sluice('deploy production --json --yes', { events: [event] });
    expect(stdout).toBe(`${JSON.stringify(event)}\n`);
    expect(stderr).toContain('Plan of the deploy of production');
  });

  test('draws events as they come', async () => {
    const event = { atMs: 1, type: 'note', level: 'info', text: 'hello' } as const;
    const { stdout } = await sluice('deploy production --yes', { events: [event] });
    expect(stdout).toMatch(/^\[ {3}0\.0 s\] hello\n/);
  });

  test('draws plain lines on a terminal without columns', async () => {
    const event = { atMs: 1, type: 'note', level: 'info', text: 'hello' } as const;
    const { stdout } = await sluice('deploy production', { typed: 'n\n', columns: 0, events: [event] });
    expect(stdout).toMatch(/^\[ {3}0\.0 s\] hello\n/);
  });

  test.each([0, 1, 3, 5, 130, 143] as const)('ends with the status %i of its report', async (exit) => {
    const engine = { deploy: async () => report({ exit }) };
    expect((await sluice('deploy production --yes', { engine })).status).toBe(exit);
  });

  test('--dry-run is plan: it asks nothing and deploys nothing', async () => {
    const dry = await sluice('deploy production --dry-run --ref v2');
    const planned = await sluice('plan production --ref v2');
    expect(dry).toEqual(planned);
    expect(dry.calls[1]).toEqual(['propose', { ref: 'v2', nodes: null }]);
  });

  test('a signal at the question is no answer', async () => {
    const signal = AbortSignal.abort('SIGINT');
    const { status, calls } = await sluice('deploy production', { typed: 'y\n', signal });
    expect({ status, last: calls.at(-1)?.[0] }).toEqual({ status: 130, last: 'deploy' });
  });

  test('says at once what a signal does', async () => {
    const controller = new AbortController();
    const engine = {
      deploy: async () => {
        controller.abort('SIGINT');
        return report({ outcome: 'interrupted', exit: 130 });
      },
    };
    const { status, stderr } = await sluice('deploy production --yes', { engine, signal: controller.signal });
    expect(status).toBe(130);
    expect(stderr).toBe(
      '\nSIGINT: the step under way ends first. Once more stops at once, and leaves the site as it is then.\n',
    );
  });
});

describe('plan', () => {
  test('prints every step', async () => {
    const { status, stdout } = await sluice('plan production');
    expect(status).toBe(0);
    expect(stdout).toContain('\n10. enable web2\n');
  });

  test('--json prints the plan as data', async () => {
    const { stdout } = await sluice('plan production --json');
    const { plan, comparison, commands } = proposal;
    expect(JSON.parse(stdout)).toEqual({ plan, comparison, commands, lists: [] });
  });

  test('shows a warning that has no other place', async () => {
    const events = [{ atMs: 1, type: 'note', level: 'warning', text: 'careful' } as const];
    expect((await sluice('plan production', { events })).stderr).toBe('warning: careful\n');
  });
});

describe('rollback', () => {
  test('goes to the release before, or to a named one', async () => {
    expect((await sluice('rollback production --yes')).calls[1]).toEqual([
      'rollback',
      { to: null, nodes: null },
    ]);
    const named = await sluice('rollback production --to 20260113090000 --yes');
    expect(named.calls[1]).toEqual(['rollback', { to: '20260113090000', nodes: null }]);
  });

  test('--dry-run only plans', async () => {
    const { calls, stdout } = await sluice('rollback production --dry-run');
    expect(calls[1]).toEqual(['proposeRollback', { to: null, nodes: null }]);
    expect(stdout).toContain('Plan of the rollback of production');
  });
});

describe.each(['resume', 'abort'])('%s', (command) => {
  test('takes over a run that is dead, or with --force one that may be alive', async () => {
    expect((await sluice(`${command} production --yes`)).calls[1]).toEqual([command, { force: false }]);
    expect((await sluice(`${command} --yes --force`)).calls[1]).toEqual([command, { force: true }]);
  });

  test('asks before it changes anything', async () => {
    expect((await sluice(`${command} production`)).status).toBe(2);
  });
});

describe('simulate', () => {
  test('lives as many lives as are asked for, each of another seed', async () => {
    const { status, stdout, calls } = await sluice('simulate production --runs 3 --seed 7');
    expect(status).toBe(0);
    expect(calls.slice(1)).toEqual([7, 8, 9].map((seed) => ['simulate', { seed }]));
    expect(stdout).toBe('3 simulated lives of the site (seeds 7 to 9), and no promise was broken.\n');
  });

  test('tells of the first broken promise what led there, and how to see it again', async () => {
    const { status, stdout } = await sluice('simulate production', {
      broken: [{ promise: 'floor', how: '1 node serves' }],
    });
    expect(status).toBe(1);
    expect(stdout).toBe(
      'floor: 1 node serves\nWhat led there, in the life of seed 1:\n  1 web1: drained\nThe same life again: sluice simulate production --runs 1 --seed 1\n',
    );
  });

  test('refuses a count that is none', async () => {
    expect((await sluice('simulate production --runs many')).stderr).toBe(
      '--runs: expected a whole number from 1, got "many".\n',
    );
  });
});

describe('status', () => {
  test('with --drift compares nodes with the image that is live, and ends with 1 where they are not alike', async () => {
    const web1 = { name: 'web1', problem: null, deviations: [], unread: [] };
    const alike = await sluice('status production --drift', {
      engine: { findDrift: async (_site, _ports, { image }) => ({ image, nodes: [web1] }) },
    });
    expect(alike.status).toBe(0);
    expect(alike.stdout).toMatch(
      /^production: 4 of 4[\s\S]*compared with image 1b2c3d4:\n\nweb1 {2}alike\n$/,
    );
    const drift = { image: null, nodes: [{ ...web1, problem: 'web1 is down.' }] };
    const engine = { findDrift: async () => drift };
    expect((await sluice('status production --drift', { engine })).status).toBe(1);
    const { status, stdout } = await sluice('status production --drift --json', { engine });
    expect([status, JSON.parse(stdout).drift]).toEqual([1, drift]);
  });

  test('does not read all of that again and again', async () => {
    const { status, stderr, calls } = await sluice('status production --drift --watch');
    expect([status, calls]).toEqual([2, []]);
    expect(stderr).toContain('--drift reads much of each node, and is not for --watch');
  });

  test('prints what is so, and nothing stands out', async () => {
    const { status, stdout } = await sluice('status');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^production: 4 of 4 nodes serving[\s\S]*Nothing stands out\.\n$/);
  });

  test('--json prints one line with the observation', async () => {
    const { stdout } = await sluice('status production --json');
    expect(JSON.parse(stdout)).toEqual({
      site: 'shop',
      stage: 'production',
      lists: [],
      servingMin: 3,
      pool: null,
      parts: null,
      serving: [...nodeNames],
      release: oldRelease.id,
      drifted: [],
      ...observation(),
    });
    expect(stdout.trimEnd()).not.toContain('\n');
  });

  test('--json says what each pool gets while they share the traffic', async () => {
    const parts = { blue: 80, green: 20 };
    const balancers = observation().balancers.map((one) => ({ ...one, parts }));
    const engine = { observe: async () => ({ ...observation(), balancers }) };
    for (const command of ['status', 'balancers']) {
      const { stdout } = await sluice(`${command} production --json`, { engine });
      expect(JSON.parse(stdout)).toMatchObject({ pool: null, parts });
    }
  });

  test('--watch reads until the signal', async () => {
    const controller = new AbortController();
    let reads = 0;
    const engine = {
      observe: async () => {
        reads += 1;
        if (reads === 3) controller.abort('SIGINT');
        return observation();
      },
    };
    const { status, stdout } = await sluice('status production --watch', {
      engine,
      signal: controller.signal,
    });
    expect({ status, reads }).toEqual({ status: 0, reads: 3 });
    expect(stdout.match(/nodes serving/g)).toHaveLength(3);
  });
});

describe('balancers', () => {
  test('shows what each of them sees', async () => {
    const { status, stdout } = await sluice('balancers production');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^production: as its balancers see it[\s\S]*All agree\.\n$/);
  });

  test('ends with 3 where one cannot be read, and says so in JSON too', async () => {
    const observed = observation();
    const [lb1, lb2] = observed.balancers;
    const engine = {
      observe: async () => ({ ...observed, balancers: [lb1!, { ...lb2!, unreachable: 'lb2 is gone.' }] }),
    };
    const { status, stdout } = await sluice('balancers production --json', { engine });
    expect(status).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ agree: false, remarks: ['lb2 is gone.'] });
  });
});

test('releases lists them, newest first', async () => {
  const { status, stdout } = await sluice('releases production');
  expect(status).toBe(0);
  expect(stdout).toContain('20260113090000  1b2c3d4   all 4    all 4');
  expect(JSON.parse((await sluice('releases production --json')).stdout)[0].live).toEqual([...nodeNames]);
});

test('history prints what was done', async () => {
  const line = 'deploy main as 20260113090000 by ada@laptop: done';
  const { status, stdout } = await sluice('history production');
  expect({ status, stdout }).toEqual({ status: 0, stdout: `2026-01-13T09:00:00Z  ${line}\n` });
  expect(JSON.parse((await sluice('history production --json')).stdout)[0].text).toBe(line);
});

describe('check', () => {
  test('makes the directories, and says that a deploy could begin', async () => {
    const { status, stdout, calls } = await sluice('check production');
    expect(status).toBe(0);
    expect(stdout).toBe('Ready: production can be deployed to (4 nodes, 2 balancers read).\n');
    expect(calls.at(-1)).toEqual(['setup', null]);
  });

  test('prints every problem, and is not success', async () => {
    const engine = { preflight: () => ({ problems: ['web1 lacks tar.', 'web2 is full.'], warnings: [] }) };
    const { status, stderr, stdout } = await sluice('check production', { engine });
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toContain('  web1 lacks tar.\n  web2 is full.\n');
  });

  test('--json prints problems and warnings as data', async () => {
    const engine = { preflight: () => ({ problems: ['web1 lacks tar.'], warnings: ['w'] }) };
    const { status, stdout } = await sluice('check production --json', { engine });
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      ready: false,
      problems: ['web1 lacks tar.'],
      warnings: ['w'],
      lists: [],
    });
  });

  test('prints what is wrong with the storage beside the rest, and makes nothing where it would hang', async () => {
    const storage = { problems: ['web1: /mnt is stale.'], warnings: ['web2: odd.'], answers: false };
    const engine = {
      preflight: () => ({ problems: ['web1 lacks tar.'], warnings: [] }),
      proveStorage: async () => storage,
    };
    const { status, stdout, calls } = await sluice('check production --json', { engine });
    expect(status).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      ready: false,
      problems: ['web1 lacks tar.', 'web1: /mnt is stale.'],
      warnings: ['web2: odd.'],
      lists: [],
    });
    expect(calls.map(([name]) => name)).toEqual(['load']);
  });

  test('makes nothing while a node cannot be read', async () => {
    const gone = observation([node('web1', null, { unreachable: 'web1 is gone.' })]);
    const { calls } = await sluice('check production', { engine: { observe: async () => gone } });
    expect(calls.map(([name]) => name)).toEqual(['load']);
  });
});

describe('unlock', () => {
  const engine = { observe: async () => observation([node('web1', oldRelease, { lock })]) };
  const whose =
    'web1: locked by bob@ci7 since 2026-01-14T09:30:00Z: deploy main as 20260114093000, last heartbeat 5 min 12 s ago, from ci7\n';

  test('says whose lock it is, asks why and whether, and frees it', async () => {
    const { status, stdout, stderr, calls } = await sluice('unlock production', {
      engine,
      typed: 'CI died\ny\n',
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${whose}Unlocked: web1.\n` });
    expect(stderr).toBe('Why? Break the lock? A run that still lives changes nothing more. [y/N] ');
    expect(calls.at(-1)).toEqual(['unlock', { reason: 'CI died' }]);
  });

  test('leaves the lock to who does not say yes', async () => {
    const { status, stdout, calls } = await sluice('unlock production', { engine, typed: 'CI died\nn\n' });
    expect({ status, stdout }).toEqual({ status: 2, stdout: `${whose}The lock stays.\n` });
    expect(calls.map(([name]) => name)).toEqual(['load']);
  });

  test('needs a reason where nobody can be asked for it', async () => {
    const { status, stderr } = await sluice('unlock production --yes', { engine });
    expect(status).toBe(2);
    expect(stderr).toContain('unlock needs --reason: it is written to the log of every node.\n');
    const given = await sluice('unlock production --yes --reason gone', { engine });
    expect(given.calls.at(-1)).toEqual(['unlock', { reason: 'gone' }]);
  });

  test('has nothing to do where there is no lock', async () => {
    const { status, stdout } = await sluice('unlock production --yes --reason gone');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'No node is locked.\n' });
  });
});

describe('work by hand', () => {
  test('drain says how the nodes come back', async () => {
    const { status, stdout, calls } = await sluice('drain production web3 web1');
    expect({ status, stdout }).toEqual({
      status: 0,
      stdout: 'Out of rotation: web1 and web3. Back in with: sluice enable production web1 web3\n',
    });
    expect(calls.at(-1)).toEqual(['setRotation', { nodes: ['web1', 'web3'], to: 'out', force: false }]);
  });

  test('enable puts them back', async () => {
    const { status, stdout, calls } = await sluice('enable production web3 --force');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'In rotation: web3.\n' });
    expect(calls.at(-1)).toEqual(['setRotation', { nodes: ['web3'], to: 'in', force: true }]);
  });
});

test('schema prints the JSON Schema', async () => {
  expect(JSON.parse((await sluice('schema')).stdout)).toEqual({ type: 'object' });
});

test('init says what it wrote and what to do next', async () => {
  const { status, stdout } = await sluice('init');
  expect(status).toBe(0);
  expect(stdout).toBe(
    'Wrote sluice.config.ts for WordPress. Name your nodes in it, then: sluice check production\n',
  );
});

describe('cron', () => {
  test('shows that no node has it', async () => {
    const { status, stdout } = await sluice('cron production');
    expect(status).toBe(0);
    expect(stdout).toMatch(/^production: cron on no node\n[\s\S]*web1 +- +-\n[\s\S]*Nothing stands out\.\n$/);
  });

  test('--json has every node', async () => {
    const { stdout } = await sluice('cron production --json');
    expect(JSON.parse(stdout)).toMatchObject({ holders: [], owner: null, remarks: [] });
  });

  test('--to moves it', async () => {
    const { status, stdout, calls } = await sluice('cron production --to web2 --fenced');
    expect({ status, stdout }).toEqual({ status: 0, stdout: 'web2 has the cron of production.\n' });
    expect(calls.at(-1)).toEqual(['moveCron', { to: 'web2', fenced: true }]);
  });
});

describe('maintenance', () => {
  test('on and off say what is so then, and hand the reason on in one line', async () => {
    const on = await sluice('maintenance production on --reason \nmoving\thouse\n');
    expect(on.stdout).toBe(
      'Visitors of production are turned away, until: sluice maintenance production off\n',
    );
    expect(on.calls.at(-1)).toEqual(['maintain', { to: 'on', reason: 'moving house', withoutQuorum: false }]);
    const off = await sluice('maintenance production off --without-quorum');
    expect(off.stdout).toBe('Visitors of production are let in.\n');
    expect(off.calls.at(-1)).toEqual(['maintain', { to: 'off', reason: null, withoutQuorum: true }]);
  });

  test('anything but on and off is refused', async () => {
    const { status, stderr, calls } = await sluice('maintenance production maybe');
    expect({ status, calls }).toEqual({ status: 2, calls: [] });
    expect(stderr).toContain('expected on or off, got "maybe"');
  });
});

describe('a failure', () => {
  const failing = (error: unknown) => sluice('status production', { load: () => Promise.reject(error) });

  test('is its message and its hint on standard error', async () => {
    const searched = '/srv and the folders above it';
    const { status, stdout, stderr } = await failing(
      failure('CONFIG_NOT_FOUND', { searched, wanted: 'a site', sites: [] }),
    );
    expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
    expect(stderr).toMatch(/^No config of a site was found in \/srv[^\n]*\nhint: [^\n]*\n$/);
  });

  test.each([
    ['a lock', failure('LOCKED', { node: 'web1', lock }), 5],
    [
      'a node that was drained and still has requests',
      failure('DRAIN_TIMEOUT', { node: 'web1', withinMs: 1, sessions: '2' }),
      3,
    ],
    [
      'a floor that would not hold',
      failure('FLOOR_AT_RISK', { nodes: ['web1'], serving: 2, servingMin: 3 }),
      2,
    ],
  ])('of %s has its own status', async (_, error, status) => {
    const setRotation = () => Promise.reject(error);
    const outcome = await sluice('drain production web1', { engine: { setRotation } });
    expect({ status: outcome.status, portsClosed: outcome.portsClosed }).toEqual({
      status,
      portsClosed: true,
    });
  });

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ])('after %s has the status of the signal', async (reason, status) => {
    const signal = AbortSignal.abort(reason);
    const observe = () => Promise.reject(failure('INTERRUPTED', { signal: reason }));
    expect((await sluice('status production', { engine: { observe }, signal })).status).toBe(status);
  });

  test.each([
    ['an assertion', () => assert(false, 'two is three')],
    ['anything unexpected', () => (undefined as unknown as { length: number }).length],
  ])('of %s is called a bug, with its stack', async (_, fault) => {
    const load = async () => {
      fault();
      return site;
    };
    const { status, stderr } = await sluice('status production', { load });
    expect(status).toBe(3);
    expect(stderr).toMatch(/^A bug in sluice, which stopped:\n\w+Error: [\s\S]*\n {4}at /);
  });
});
