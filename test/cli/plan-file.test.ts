import { expect, test } from 'vitest';
import { failure } from '../../src/core/errors.ts';
import type { Plan } from '../../src/core/plan.ts';
import type { Site } from '../../src/core/site.ts';
import type { Proposal } from '../../src/engine/deploy.ts';
import { report } from '../reporters/example-run.ts';
import { newRelease, observation, oldRelease } from '../reporters/example-site.ts';
import { proposal, site, sluice } from './fake-environment.ts';

const made = async (flags = ''): Promise<string> => {
  const { files, status } = await sluice(`plan production --out plan.json ${flags}`);
  expect(status).toBe(0);
  return files['plan.json']!;
};

/** Deploys a plan file where the site is as `now` says. */
const deployed = async (text: string, { now = proposal, on = site, flags = '' } = {}) => {
  const asked: unknown[] = [];
  const outcome = await sluice(`deploy production --plan plan.json ${flags}`, {
    files: { 'plan.json': text },
    load: async () => on,
    engine: {
      propose: async () => now,
      deploy: async ({ ref, planned, nodes, confirm }) => {
        asked.push({ ref, planned, nodes });
        // As the engine does: what is thrown where a person is asked, refuses the run.
        const agreed = await confirm(now);
        return agreed ? report() : report({ outcome: 'refused', exit: 2, nodes: null });
      },
    },
  });
  return { ...outcome, asked };
};

test('a plan that still fits is carried out as it was approved, and asks nothing', async () => {
  const { status, asked, calls, stderr } = await deployed(await made('--ref v2 --nodes web1,web2 --batch 2'));
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(asked).toEqual([{ ref: 'v2', planned: newRelease, nodes: ['web1', 'web2'] }]);
  expect(calls[0]).toEqual(['load', { wanted: 'production', batch: '2' }]);
});

test('the file holds no secret, and neither setting nor hash of one is spelt out', async () => {
  const text = await made();
  expect(Object.keys(JSON.parse(text))).toEqual([
    'digest',
    'version',
    'site',
    'stage',
    'ref',
    'flags',
    'settings',
    'before',
    'pool',
    'plan',
  ]);
  for (const digest of Object.values(JSON.parse(text).settings))
    expect(digest).toMatch(/^sha256:[0-9a-f]{16}$/);
});

const refused = async (text: string, options: Parameters<typeof deployed>[1] = {}): Promise<string> => {
  const { status, stderr } = await deployed(text, options);
  expect(status).toBe(2);
  return stderr;
};

test('a node that has another release since then is named', async () => {
  const { nodes } = proposal.observed;
  const web1 = { ...nodes.web1!, current: { kind: 'absent' } as const };
  const now: Proposal = { ...proposal, observed: { ...proposal.observed, nodes: { ...nodes, web1 } } };
  expect(await refused(await made(), { now })).toBe(
    `plan.json is not what would be done now (1 difference):
  web1 had 20260113090000 (1b2c3d4), and has nothing now
hint: nothing was touched; make a new plan, and have that approved.
`,
  );
});

const planned = (plan: Partial<Plan>): Proposal => ({ ...proposal, plan: { ...proposal.plan, ...plan } });

test.each([
  [
    planned({ steps: proposal.plan.steps.filter((_, index) => index !== 2) }),
    'step 3 was “drain web1”, and is “activate 20260114093000 (3f2a9c1) on web1” now',
  ],
  [planned({ steps: proposal.plan.steps.slice(0, -1) }), 'step 10 was “enable web2”, and is none now'],
  [
    {
      ...proposal,
      observed: { ...observation(), balancers: [{ ...observation().balancers[0]!, pool: 'blue' }] },
    },
    'traffic went to no one pool, and goes to blue now',
  ],
] as const)('another plan is refused, and what differs named: %#', async (now, difference) => {
  expect(await refused(await made(), { now })).toContain(difference);
});

test.each([
  ['servingMin', { ...site, servingMin: 1 }],
  [
    'hooks',
    {
      ...site,
      hooks: [{ name: 'h', point: 'failed', action: { kind: 'function', run: () => {}, timeoutMs: 1 } }],
    },
  ],
] as const)('a setting that was changed is named: %s', async (key, on) => {
  expect(await refused(await made(), { on: on as Site })).toContain(`the setting ${key} is not what it was`);
});

test('how nodes are reached may differ between two machines', async () => {
  const on = { ...site, ssh: { key: '/home/ci/key' } } as unknown as Site;
  expect((await deployed(await made(), { on })).status).toBe(0);
});

test('a file for another stage is refused', async () => {
  const on = { ...site, stage: 'staging' };
  expect(await refused(await made(), { on })).toContain(
    'plan.json cannot be carried out: it is for shop/production, and this is shop/staging.',
  );
});

test.each([
  [
    'changed by hand',
    (text: string) => text.replace(newRelease.revision, oldRelease.revision),
    'its digest does not fit',
  ],
  ['cut off', (text: string) => text.slice(0, 300), 'it is no plan of sluice'],
  ['of something else', () => '{"name": "sluice"}', 'it is no plan of sluice'],
  ['a list', () => '[]', 'it is no plan of sluice'],
] as const)('a file that is %s is refused', async (_, change, problem) => {
  expect(await refused(change(await made()))).toContain(problem);
});

test('a file of another version is refused', async () => {
  const { files } = await sluice('plan production --out plan.json', { version: '1.2.2' });
  expect(await refused(files['plan.json']!)).toContain('it was made by sluice 1.2.2, and this is 1.2.3');
});

test('a file that is not there is refused', async () => {
  const { status, stderr } = await sluice('deploy production --plan plan.json');
  expect([status, stderr]).toEqual([
    2,
    expect.stringContaining('plan.json cannot be carried out: it could not be read'),
  ]);
});

test('what the plan says is not said twice', async () => {
  expect(await refused(await made(), { flags: '--skip-unreachable' })).toContain(
    '--plan says what --skip-unreachable would: leave that out.',
  );
});

test('--dry-run shows whether the plan still fits', async () => {
  const text = await made();
  expect(await deployed(text, { flags: '--dry-run' })).toMatchObject({ status: 0, asked: [] });
  const now = planned({ steps: proposal.plan.steps.slice(1) });
  expect(await refused(text, { now, flags: '--dry-run' })).toContain('step 1 was');
  expect((await deployed(text, { now: planned({ steps: [] }), flags: '--dry-run' })).status).toBe(0);
});

test('a plan that cannot be written is an error, and not a bug', async () => {
  const { status, stderr } = await sluice('plan production --out /no/plan.json', {
    write: () => {
      throw new Error('EACCES');
    },
  });
  expect([status, stderr]).toEqual([
    2,
    expect.stringContaining('/no/plan.json on this machine could not be written: EACCES'),
  ]);
});

test('--take-over ends an earlier run first, and deploys only if that ended well', async () => {
  const { calls, status } = await sluice('deploy production --take-over abort --yes');
  expect(status).toBe(0);
  expect(calls.map(([name]) => name)).toEqual(['load', 'takeOver', 'deploy']);
  const failed = await sluice('deploy production --take-over resume --yes', {
    engine: { takeOver: async () => report({ outcome: 'needs a person', exit: 3 }) },
  });
  expect(failed.status).toBe(3);
  expect(failed.calls.map(([name]) => name)).toEqual(['load']);
});

test.each([
  ['deploy --take-over retry --yes', '--take-over: expected'],
  ['deploy --lock-wait soon --yes', '--lock-wait: expected'],
  ['plan --format html', '--format: expected text or markdown, got "html"'],
  ['deploy --reporter gitlap --yes', 'did you mean gitlab?'],
  ['deploy --reporter plain --json --yes', '--json and --reporter plain differ'],
] as const)('%s is refused', async (line, text) => {
  const { status, stderr } = await sluice(line);
  expect([status, stderr]).toEqual([2, expect.stringContaining(text)]);
});

test.each(['deploy', 'rollback', 'resume', 'abort', 'sync', 'flip'] as const)(
  '%s waits for a lock as it is told',
  async (command) => {
    let waited: number | undefined;
    const note = async ({ lockWaitMs }: { lockWaitMs?: number }) => {
      waited = lockWaitMs;
      throw failure('NOTHING_TO_RESUME', {});
    };
    await sluice(`${command} production --lock-wait 10m --yes`, { engine: { [command]: note } });
    expect(waited).toBe(600_000);
  },
);
