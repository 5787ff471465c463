import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, assert, beforeEach, describe, expect, test } from 'vitest';
import { type LoadInput, loadSite } from '../../src/config/load.ts';
import { DeployError } from '../../src/core/errors.ts';
import { api, least, registries } from './parsing.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sluice-load-'));
});
afterEach(() => rmSync(home, { recursive: true }));

const write = (file: string, content: string | object) => {
  mkdirSync(dirname(join(home, file)), { recursive: true });
  writeFileSync(join(home, file), typeof content === 'string' ? content : JSON.stringify(content, null, 2));
};

const load = (wanted: string, folder = '.', more: Partial<LoadInput> = {}) =>
  loadSite(wanted, { cwd: join(home, folder), registries, api, env: { HOME: home }, ...more });

async function failureOf(promise: Promise<unknown>): Promise<DeployError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DeployError);
  return error as DeployError;
}

const inScript = (text: string) => `import { defineSite, env } from 'sluice';\n${text}`;

describe('a config is found', () => {
  test.each(['json', 'yaml', 'yml'])('as sluice.config.%s', async (extension) => {
    write(`sluice.config.${extension}`, least);
    expect((await load('production')).name).toBe('shop');
  });

  test.each(['ts', 'js', 'mjs'])(
    'as sluice.config.%s, which may import sluice from any folder',
    async (extension) => {
      write(`sluice.config.${extension}`, inScript(`export default defineSite(${JSON.stringify(least)});`));
      expect((await load('production')).name).toBe('shop');
    },
  );

  test('and a script that imports sluice gets the very module that it is loaded with', async () => {
    const own = async () => ({ defineSite: () => ({ ...least, name: 'known' }), env: () => '' });
    write('sluice.config.ts', inScript('export default defineSite({});'));
    expect((await load('production', '.', { api: own })).name).toBe('known');
  });

  test('in a folder above, as far as the home directory', async () => {
    write('sluice.config.json', least);
    write('a/b/c/x', '');
    expect((await load('production', 'a/b/c')).name).toBe('shop');
    const elsewhere = { env: { HOME: join(home, 'a') } };
    expect((await failureOf(load('production', 'a/b', elsewhere))).code).toBe('CONFIG_NOT_FOUND');
  });

  test.each(['shop/sluice.config.json', 'shop.sluice.config.json'])(
    'for shop/production as %s',
    async (file) => {
      write(file, { ...least, keepReleases: 7 });
      write('sluice.config.json', least);
      expect((await load('shop/production')).keepReleases).toBe(7);
    },
  );

  test('with types, functions and secrets in TypeScript', async () => {
    write(
      'sluice.config.ts',
      inScript(`
        const token: string = 'TOKEN';
        export default defineSite({
          ...${JSON.stringify(least)},
          source: { git: 'x', env: { A: env(token) } },
          hooks: { failed: [async ({ site }) => { throw new Error(site); }] },
        });`),
    );
    const site = await load('production', '.', { env: { HOME: home, TOKEN: 's1' } });
    assert(site.source.kind === 'git');
    expect(String(site.source.env.A)).toBe('[secret]');
    expect(site.hooks[0]?.action.kind).toBe('function');
  });

  test('with anchors in YAML', async () => {
    write(
      'sluice.config.yaml',
      [
        'name: shop',
        'source: { git: x }',
        'deployTo: /srv/shop',
        'stages:',
        '  production: &fleet',
        '    nodes: [web1]',
        '  staging:',
        '    <<: *fleet',
        '    keepReleases: 2',
      ].join('\n'),
    );
    expect((await load('staging')).nodes).toEqual((await load('production')).nodes);
  });
});

describe('the stage', () => {
  test('may be left out if there is one', async () => {
    write('sluice.config.json', least);
    write('shop/sluice.config.json', least);
    expect((await load('')).stage).toBe('production');
    expect((await load('shop/')).stage).toBe('production');
  });

  test('must be named if there are several', async () => {
    write('sluice.config.json', { ...least, stages: { production: {}, staging: {} } });
    const error = await failureOf(load(''));
    expect(error.code).toBe('USAGE');
    expect(error.message).toBe(`${home}/sluice.config.json has the stages production and staging: name one`);
  });

  test('that is not there is refused with the nearest', async () => {
    write('sluice.config.json', { ...least, stages: { production: {}, staging: {} } });
    const error = await failureOf(load('prodution'));
    expect(error.code).toBe('STAGE_UNKNOWN');
    expect(error.message).toBe(
      `${home}/sluice.config.json has no stage prodution; it has production and staging.`,
    );
    expect(error.hint).toBe('did you mean production?');
  });

  test.each(['../x', 'a/b/c', '/production', 'a b', '.hidden/x'])('%s is no stage', async (wanted) => {
    const error = await failureOf(load(wanted));
    expect(error.message).toBe(`expected a stage or site/stage, got "${wanted}"`);
  });
});

describe('a failure', () => {
  test('to find a config says where it was searched', async () => {
    const error = await failureOf(load('production'));
    expect(error.code).toBe('CONFIG_NOT_FOUND');
    expect(error.message).toBe(`No config of a site was found in ${home} and the folders above it.`);
    expect(error.hint).toBe('sluice init writes a commented one.');
  });

  test('to find a config among several sites names them', async () => {
    write('blog.sluice.config.json', least);
    write('shop/sluice.config.ts', '');
    write('notes/readme', '');
    const error = await failureOf(load('production'));
    expect(error.hint).toBe('blog and shop stand here: name the site and its stage, as in blog/production.');
  });

  test.each([
    ['sluice.config.json', '{\n  "name": "shop"\n  "stages": {}\n}\n', 'line 3: '],
    ['sluice.config.yaml', 'name: shop\nstages: [\n  a: b: c\n', 'line 3: '],
    ['sluice.config.ts', 'export default {\n  name: ]\n};\n', 'line 2: Unexpected token'],
    ['sluice.config.ts', "import 'node:fs';\n\nthrow new Error('not today');\n", 'line 3: not today'],
    ['sluice.config.mjs', "import x from 'left-bad';\nexport default x;\n", "Cannot find module 'left-bad'"],
  ])('to read %s names file and line: %j', async (file, content, reason) => {
    write(file, content);
    const error = await failureOf(load('production'));
    expect(error.code).toBe('CONFIG_UNREADABLE');
    expect(error.message).toContain(`${home}/${file} could not be read: `);
    expect(error.message).toContain(reason);
  });

  test('inside a config is not taken for an absent config', async () => {
    write('sluice.config.ts', "import { readFileSync } from 'node:fs';\nreadFileSync('/nowhere');\n");
    const error = await failureOf(load('production'));
    expect(error.message).toBe(
      `${home}/sluice.config.ts could not be read: line 2: ENOENT: no such file or directory, open '/nowhere'`,
    );
  });

  test('tells all problems of the config', async () => {
    write('sluice.config.json', { ...least, deployTo: '/', keepReleases: 0 });
    const error = await failureOf(load('production'));
    expect(error.code).toBe('CONFIG_INVALID');
    expect(error.message).toBe(
      [
        `${home}/sluice.config.json has 2 problems:`,
        "  deployTo: expected an absolute path other than '/', without '..', got \"/\"",
        '  keepReleases: expected a whole number from 2 to 1000, got 0',
      ].join('\n'),
    );
  });

  test.each(['', '[]', '"x"', '{}'])('of a config that is %j says what is missing', async (content) => {
    write('sluice.config.yaml', content);
    expect((await failureOf(load('production'))).code).toBe('CONFIG_INVALID');
  });

  test('of an override is one of usage, not of the config', async () => {
    write('sluice.config.json', least);
    const error = await failureOf(load('production', '.', { overrides: { batch: 'two', onFailure: 'x' } }));
    expect(error.code).toBe('USAGE');
    expect(error.message).toBe(
      [
        '--batch: expected a count of nodes such as 2 or a part such as \'30%\', got "two"',
        "--on-failure: expected 'rollback' or 'rollback-batch' or 'halt' or 'hold', got \"x\"",
      ].join('\n'),
    );
  });
});

test('overrides win over the config', async () => {
  write('sluice.config.json', least);
  const site = await load('production', '.', { overrides: { batch: '1,30%', onFailure: undefined } });
  expect(site.strategy.options).toEqual({ batch: [1, '30%'], hold: null });
});
