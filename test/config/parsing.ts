import { registries } from '../../bin/registries.ts';
import { parseSite, type SiteInput } from '../../src/config/site.ts';
import type { Site } from '../../src/core/site.ts';

export { registries };

/** What a config that imports `sluice` gets. */
export const api = () => import('../../src/index.ts');

export const noFiles = (path: string): never => {
  throw new Error(`ENOENT: no such file or directory, open '${path}'`);
};

/** The least that a site must say. */
export const least = {
  name: 'shop',
  source: { git: 'git@git.example.org:shop.git' },
  deployTo: '/srv/shop',
  nodes: ['web[1:4].example.org'],
  stages: { production: {} },
};

const input: SiteInput = {
  stage: 'production',
  file: '/home/ann/shop/sluice.config.ts',
  registries,
  env: { HOME: '/home/ann' },
  readFile: noFiles,
};

/** The site that the settings and the least that is missing make. */
export function siteWith(settings: object, more: Partial<SiteInput> = {}): Site {
  const result = parseSite({ ...least, ...settings }, { ...input, ...more });
  if (!result.ok) throw new Error(result.problems.join('\n'));
  return result.value;
}

/** The problems of a config that is nothing but this. */
export function problemsOfAll(config: unknown, more: Partial<SiteInput> = {}): readonly string[] {
  const result = parseSite(config, { ...input, ...more });
  return result.ok ? [] : result.problems;
}

export const problemsWith = (settings: object, more: Partial<SiteInput> = {}): readonly string[] =>
  problemsOfAll({ ...least, ...settings }, more);

export const haproxy = { kind: 'haproxy', socket: '/run/haproxy/admin.sock', backend: 'web' };
