import type { Config } from '../src/cli/environment.ts';
import type { Overrides } from '../src/config/overrides.ts';
import { assert } from '../src/core/assert.ts';
import { failure } from '../src/core/errors.ts';
import type { Secret } from '../src/core/secret.ts';
import type { Site } from '../src/core/site.ts';
import { isOwnStrategy, type Strategy } from '../src/core/strategy.ts';

export interface FilesConfigOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Told of each secret that a config reads. */
  readonly onSecret?: (secret: Secret) => void;
}

/** Config files found from `cwd`, which may name whatever the registries hold. Loaded when a command needs it. */
export function filesConfig(options: FilesConfigOptions): Config {
  /** What `fleet` read of a config that is not of one: `load` comes next, and need not read it again. */
  const read = new Map<string, Site>();
  return {
    async load(wanted, overrides) {
      const key = JSON.stringify([wanted, overrides]);
      const site = read.get(key) ?? (await loadOne(options, wanted, overrides));
      read.delete(key);
      if ('fleet' in site)
        throw failure('FLEET_INSTEAD', {
          what: 'This',
          instead: 'the README says what there is for a fleet, under Machine images on AWS',
        });
      return site;
    },
    async fleet(wanted, overrides) {
      const site = await loadOne(options, wanted, overrides);
      if ('fleet' in site) return site;
      read.set(JSON.stringify([wanted, overrides]), site);
      return null;
    },
    async strategy({ name, options: chosen }) {
      // The config was parsed: what it brings itself is a strategy.
      if (isOwnStrategy(chosen.own)) return chosen.own as Strategy;
      const { registries } = await import('./registries.ts');
      const kind = registries.strategies[name];
      assert(kind, `the config was parsed, so strategy ${name} is registered`);
      return kind.create(chosen);
    },
    async balancers() {
      const { balancerKinds } = await import('../src/adapters/balancers/index.ts');
      return Object.fromEntries(
        Object.entries(balancerKinds).map(([kind, { capabilities }]) => [kind, capabilities]),
      );
    },
    async schema() {
      const [{ siteSchema }, { registries }] = await Promise.all([
        import('../src/config/schema.ts'),
        import('./registries.ts'),
      ]);
      return siteSchema(registries);
    },
    async init(wanted) {
      const { writeConfig } = await import('../src/config/init.ts');
      return writeConfig({ ...options, wanted });
    },
  };
}

async function loadOne(options: FilesConfigOptions, wanted: string, overrides: Overrides) {
  const [{ loadSiteOrFleet }, { registries }] = await Promise.all([
    import('../src/config/load.ts'),
    import('./registries.ts'),
  ]);
  return loadSiteOrFleet(wanted, { ...options, registries, api, overrides });
}

/** What a config that imports `sluice` gets: the modules that run already, and no second set of them. */
const api = () => import('../src/index.ts');
