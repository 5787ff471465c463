import { describe, expect, test } from 'vitest';
import { haproxy, problemsWith, siteWith } from './parsing.ts';

const production = (settings: object) => ({ stages: { production: settings } });

describe('a stage', () => {
  test('merges objects and replaces lists and scalars', () => {
    const site = siteWith({
      keepReleases: 3,
      linkedDirs: ['log', 'tmp'],
      drain: { timeout: '5s', onTimeout: 'force' },
      ...production({
        keepReleases: 9,
        linkedDirs: ['uploads'],
        drain: { timeout: '7s' },
        source: { ref: 'stable' },
      }),
    });
    expect(site.keepReleases).toBe(9);
    expect(site.linkedDirs).toEqual(['uploads']);
    expect(site.drain).toMatchObject({ timeoutMs: 7000, onTimeout: 'force' });
    expect(site.source).toMatchObject({ url: 'git@git.example.org:shop.git', ref: 'stable' });
  });

  test('changes an option of the same balancer or strategy', () => {
    const site = siteWith({
      balancers: { lb: haproxy },
      strategy: { name: 'rolling', batch: 2 },
      ...production({ balancers: { lb: { backend: 'blue' } }, strategy: { batch: 1 } }),
    });
    expect(site.balancers[0]?.options).toMatchObject({ backend: ['blue'] });
    expect(site.strategy.options).toEqual({ batch: [1], hold: null });
  });

  test('replaces a balancer of another kind, and another strategy, whole', () => {
    const other = { kind: 'embedded', url: 'http://127.0.0.1:9000', token: 'x' };
    const site = siteWith({
      balancers: { lb: haproxy },
      strategy: { name: 'rolling', batch: 2 },
      ...production({ balancers: { lb: other }, strategy: { name: 'all-at-once' } }),
    });
    expect(site.balancers[0]).toMatchObject({ kind: 'embedded' });
    expect(site.strategy).toEqual({ name: 'all-at-once', options: {} });
  });

  test('replaces the place of a secret', () => {
    const from = (place: object) => ({ source: { git: 'x', env: { TOKEN: place } } });
    const settings = { ...from({ env: 'A' }), ...production(from({ file: '/b' })) };
    expect(problemsWith(settings, { readFile: () => 'secret' })).toEqual([]);
  });

  test('bears the whole of what another stage says', () => {
    expect(problemsWith({ nodes: undefined, ...production({ nodes: ['web1'] }) })).toEqual([]);
  });
});

describe('a problem has the path', () => {
  test('of the stage for what the stage wrote, of the site for the rest', () => {
    expect(
      problemsWith({
        drain: { timeout: 5, enableTimeout: 6 },
        linkedDirs: ['a', 'a'],
        ...production({ drain: { timeout: 7, tmeout: 8 }, nodes: [{ name: 'web1', port: 0 }] }),
      }),
    ).toEqual([
      'stages.production.nodes[0].port: expected a whole number from 1 to 65535, got 0',
      'stages.production.drain.tmeout: unknown setting; did you mean timeout?',
      "stages.production.drain.timeout: expected a duration with its unit, such as '500ms', '30s' or '5m', at most '168h', got 7",
      "drain.enableTimeout: expected a duration with its unit, such as '500ms', '30s' or '5m', at most '168h', got 6",
      'linkedDirs[1]: a is linked already (linkedDirs[0])',
    ]);
  });

  test('of the stage for what is missing in an object that only the stage has', () => {
    expect(problemsWith({ ...production({ balancers: { lb: { kind: 'haproxy', socket: '/x' } } }) })).toEqual(
      [
        'stages.production.balancers.lb.backend: expected a name of letters, digits and -_.:, or a list of such, or an object with one for each pool, got nothing',
      ],
    );
  });

  test('of the site for what is missing in an object of both', () => {
    expect(problemsWith({ source: { submodules: true }, ...production({ source: { ref: 'x' } }) })).toEqual([
      'source.git: expected a git URL or path, got nothing',
    ]);
  });

  test('of the stage for a rule that its setting breaks', () => {
    expect(problemsWith({ ...production({ servingMin: 5 }) })).toEqual([
      'stages.production.servingMin: expected at most 4, the number of nodes, got 5',
    ]);
  });
});
