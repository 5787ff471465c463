import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { failure } from '../core/errors.ts';
import { isForUploads } from '../core/storage.ts';
import {
  type Application,
  type ApplicationName,
  applicationMarks,
  applications,
  detectApplication,
} from './application.ts';
import { asTypeScript, asYaml, type Entry, entry, object } from './commented.ts';

export interface InitInput {
  readonly application: ApplicationName;
  readonly format: 'ts' | 'yaml';
  readonly name: string;
  /** The repository that is released. */
  readonly git: string;
}

/** A commented config that works once its nodes are named. */
export function initConfig({ application, format, name, git }: InitInput): string {
  const entries = entriesOf(applications[application], name, git);
  if (format === 'yaml') return `${asYaml(entries)}\n`;
  return `import { defineSite } from 'sluice';\n\nexport default defineSite({\n${asTypeScript(entries, 1)}\n});\n`;
}

function entriesOf(app: Application, name: string, git: string): readonly Entry[] {
  return [
    entry('name', name),
    entry('source', object(...sourceEntries(app, git))),
    entry(
      'deployTo',
      `/srv/${name}`,
      'On every node. The web server serves what the link current in it points to.',
    ),
    entry(
      'linkedDirs',
      app.linkedDirs,
      'What outlives a release stands in shared/, once for all releases of a node.',
    ),
    entry('linkedFiles', app.linkedFiles, 'Put these into shared/ on every node before the first deploy.'),
    entry(
      'activate',
      app.activate.map((words) => words.map((word) => word.replace('NAME', name))),
      'Once current is switched: what serves the site must see the new release.',
      'The login user may run this through sudo without a password.',
    ),
    ...hookEntries(app),
    entry(
      'checks',
      [object(...checkEntries(app))],
      'Asked of each node out of rotation; it takes traffic only when all answers are right.',
    ),
    entry('servingMin', '50%', 'Never fewer nodes serve, whatever happens: a count, or a part of all.'),
    entry(
      'stages',
      object(...stageEntries(app)),
      'Where the site runs. A stage may change any setting above.',
    ),
  ];
}

const sourceEntries = (app: Application, git: string): readonly Entry[] => [
  entry('git', git),
  entry('ref', 'main', 'Deployed unless the command line names another: sluice deploy production --ref v1.2'),
  ...(app.build.length > 0
    ? [entry('build', app.build, 'Run once, here, in a clean checkout; all nodes get the same result.')]
    : []),
  ...(Object.keys(app.env).length > 0
    ? [entry('env', object(...Object.entries(app.env).map(([key, value]) => entry(key, value))))]
    : []),
];

const hookEntries = ({ once }: Application): readonly Entry[] => {
  const hooks = Object.entries(once).map(([name, run]) =>
    object(entry('name', name), entry('run', run), entry('once', true)),
  );
  if (hooks.length === 0) return [];
  const why = [
    'Once for the whole fleet, in the new release, before any node serves it. The old one still serves meanwhile:',
    'a migration must leave the database usable for both.',
  ];
  return [entry('hooks', object(entry('after:prepare', hooks, ...why)))];
};

const checkEntries = ({ check }: Application): readonly Entry[] => [
  entry('path', check),
  entry('host', 'www.example.org', 'The name that visitors use.'),
  entry(
    'status',
    200,
    "If a page shows what the file REVISION holds, add expect with '{{revision}}' as its text:",
    'it proves that the node serves the new release, not an old one from a cache.',
  ),
];

const stageEntries = (app: Application): readonly Entry[] => [
  entry(
    'production',
    object(
      entry('nodes', [
        object(
          entry('name', 'web[1:4]', 'Four nodes: web1 to web4.'),
          entry('address', 'web[1:4].example.org'),
        ),
      ]),
      entry(
        'balancers',
        object(
          entry(
            'lb',
            object(
              entry('kind', 'haproxy'),
              entry('host', 'lb.example.org', 'Reached through SSH; nothing is installed there.'),
              entry('socket', '/run/haproxy/admin.sock'),
              entry('backend', 'web'),
            ),
          ),
        ),
        'Each node is a server of the backend, by its name.',
      ),
      ...sharedEntries(app),
    ),
  ),
  entry(
    'staging',
    object(entry('nodes', ['staging.example.org'], 'Without a balancer a node changes while it serves.')),
  ),
];

const sharedEntries = ({ linkedDirs }: Application): readonly Entry[] => {
  const uploads = linkedDirs.filter(isForUploads);
  if (uploads.length === 0) return [];
  return [
    entry(
      'shared',
      object(entry('linkedDirs', uploads)),
      'What all nodes must see: mount NFS or the like at shared/, or at each of these in it.',
    ),
  ];
};

/**
 * Writes a config for the application in the folder and says what it is; null: none is known, and the config is one
 * for plain PHP. Throws `USAGE` if there is a config already.
 */
export function writeConfig({ cwd }: { readonly cwd: string }): {
  readonly file: string;
  readonly application: string | null;
} {
  const before = readdirSync(cwd).find((file) => file.startsWith('sluice.config.'));
  if (before) throw failure('FILE_EXISTS', { file: join(cwd, before) });
  const application = detectApplication(applicationMarks.filter((mark) => existsSync(join(cwd, mark))));
  const name =
    basename(cwd)
      .replace(/[^\w.-]/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '') || 'site';
  const file = join(cwd, 'sluice.config.ts');
  const git = originOf(cwd) ?? `git@git.example.org:${name}.git`;
  writeFileSync(file, initConfig({ application: application ?? 'plain', format: 'ts', name, git }), {
    flag: 'wx',
  });
  return { file, application };
}

/** The URL of the remote `origin`, as git's config has it. */
function originOf(cwd: string): string | null {
  const config = join(cwd, '.git/config');
  const text = existsSync(config) ? readFileSync(config, 'utf8') : '';
  return /\[remote "origin"\][^[]*?\burl\s*=\s*(\S+)/.exec(text)?.[1] ?? null;
}
