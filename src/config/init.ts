import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { failure, list } from '../core/errors.ts';
import { suggestion } from '../core/nearest.ts';
import { isForUploads } from '../core/storage.ts';
import {
  type Application,
  type ApplicationName,
  applicationMarks,
  applications,
  detectApplication,
} from './application.ts';
import { asTypeScript, asYaml, type Entry, entry, object } from './commented.ts';
import { initFleetConfig } from './init-fleet.ts';

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
    ...migrateEntries(app),
    ...maintenanceEntries(app),
    ...hookEntries(app),
    ...cronEntries(app),
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

const migrateEntries = ({ migrate, maintenance }: Application): readonly Entry[] => {
  if (migrate === null) return [];
  const { expand, irreversible, why } = migrate;
  const closes = irreversible === undefined ? [] : [entry('irreversible', irreversible)];
  return [
    entry(
      'migrate',
      object(entry('expand', expand), ...closes),
      'Once for the whole fleet, in the new release, before the first node changes.',
      ...(maintenance === null
        ? ['The release before is live meanwhile, so it must be able to use the database before and after.']
        : []),
      ...why,
      'For a backup before it: backup, with kind mysqldump, pg_dump or command.',
    ),
  ];
};

const maintenanceEntries = ({ maintenance }: Application): readonly Entry[] =>
  maintenance === null
    ? []
    : [
        entry(
          'maintenance',
          object(entry('when', 'always')),
          'Visitors are turned away from before the migration to the end; the README of sluice shows the page for it.',
          ...maintenance,
        ),
      ];

const hookEntries = ({ after }: Application): readonly Entry[] => {
  const hooks = Object.entries(after).map(([name, run]) =>
    object(entry('name', name), entry('run', run), entry('once', true)),
  );
  if (hooks.length === 0) return [];
  const why =
    'Once for the whole fleet, when all nodes have the release: before, old ones would fill them again.';
  return [entry('hooks', object(entry('after:deploy', hooks, why)))];
};

const cronEntries = ({ cron, maintenance }: Application): readonly Entry[] => {
  const jobs = Object.entries(cron).map(([schedule, run]) =>
    object(entry('schedule', schedule), entry('run', run)),
  );
  if (jobs.length === 0) return [];
  return [
    entry(
      'cron',
      object(
        entry('role', cronRole),
        entry('jobs', jobs),
        // A job of the release before would meet the database of the next.
        ...(maintenance === null
          ? []
          : [entry('hold', 'deploy', 'No job begins while the database changes.')]),
      ),
      'In the crontab of one node, one of those with the role; sluice cron production shows which.',
    ),
  ];
};

const cronRole = 'cron';

/** Any node may have the cron. */
const roleEntries = ({ cron }: Application): readonly Entry[] =>
  Object.keys(cron).length === 0 ? [] : [entry('roles', [cronRole])];

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
          ...roleEntries(app),
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
    object(
      entry(
        'nodes',
        [object(entry('address', 'staging.example.org'), ...roleEntries(app))],
        'Without a balancer a node changes while it serves.',
      ),
    ),
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
 * Writes a config for the application that is wanted, or for the one in the folder, and says what it is; null: none is
 * known, and the config is one for plain PHP. `aws-fleet` is one for machines that are made of images. Throws `FILE_EXISTS` if there is a config already, and `USAGE` for an
 * application that nobody knows.
 */
export function writeConfig({
  cwd,
  wanted = null,
}: {
  readonly cwd: string;
  readonly wanted?: string | null;
}): {
  readonly file: string;
  readonly application: string | null;
} {
  const before = readdirSync(cwd).find((file) => file.startsWith('sluice.config.'));
  if (before) throw failure('FILE_EXISTS', { file: join(cwd, before) });
  const application =
    wanted === null
      ? detectApplication(applicationMarks.filter((mark) => existsSync(join(cwd, mark))))
      : applicationOf(wanted);
  const name =
    basename(cwd)
      .replace(/[^\w.-]/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '') || 'site';
  const file = join(cwd, 'sluice.config.ts');
  const git = originOf(cwd) ?? `git@git.example.org:${name}.git`;
  const text =
    application === fleetName
      ? initFleetConfig(name)
      : initConfig({ application: application ?? 'plain', format: 'ts', name, git });
  writeFileSync(file, text, { flag: 'wx' });
  return { file, application };
}

/** Whatever runs on the machines: a fleet is released by their images. */
const fleetName = 'aws-fleet';

function applicationOf(wanted: string): ApplicationName | typeof fleetName {
  const names = [...(Object.keys(applications) as ApplicationName[]), fleetName] as const;
  const found = names.find((name) => name === wanted);
  if (found) return found;
  throw failure('USAGE', {
    problem: `expected an application (${list(names)}), got ${JSON.stringify(wanted)}${suggestion(wanted, names)}`,
  });
}

/** The URL of the remote `origin`, as git's config has it. */
function originOf(cwd: string): string | null {
  const config = join(cwd, '.git/config');
  const text = existsSync(config) ? readFileSync(config, 'utf8') : '';
  return /\[remote "origin"\][^[]*?\burl\s*=\s*(\S+)/.exec(text)?.[1] ?? null;
}
