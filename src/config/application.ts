/** What a kind of application needs to be released. */
import type { CommandLine } from '../core/command.ts';
export interface Application {
  /** Paths of a checkout, of which one is enough to tell the application. */
  readonly marks: readonly (readonly string[])[];
  readonly linkedDirs: readonly string[];
  readonly linkedFiles: readonly string[];
  readonly build: readonly CommandLine[];
  readonly env: Readonly<Record<string, string>>;
  /** `NAME` stands for the name of the site. */
  readonly activate: readonly (readonly string[])[];
  /** What brings the database to the new release; null: nothing does. `why` are comments, a line each. */
  readonly migrate: {
    readonly expand: CommandLine;
    readonly irreversible?: CommandLine;
    readonly why: readonly string[];
  } | null;
  /** Why every deploy turns visitors away; null: they may come in meanwhile. */
  readonly maintenance: readonly string[] | null;
  /** Once for the fleet, when all nodes have the release. */
  readonly after: Readonly<Record<string, CommandLine>>;
  /** Jobs of one node, by their schedule. */
  readonly cron: Readonly<Record<string, CommandLine>>;
  /** A path that answers 200 when the application, not only the web server, works. */
  readonly check: string;
}

const composer = 'composer install --no-dev --prefer-dist --optimize-autoloader --no-interaction';
const reloadPhp = ['sudo', 'systemctl', 'reload', 'php8.3-fpm'];

/** By the name that `sluice init` shows. `plain` is PHP of one's own. The order decides if several fit. */
export const applications = {
  magento: {
    marks: [['bin/magento']],
    linkedDirs: [
      'pub/media',
      'var/export',
      'var/import',
      'var/import_history',
      'var/log',
      'var/report',
      'var/session',
    ],
    linkedFiles: ['app/etc/env.php'],
    build: [
      composer,
      'bin/magento setup:di:compile',
      'composer dump-autoload --no-dev --optimize --apcu --no-interaction',
      'bin/magento setup:static-content:deploy --force en_US',
    ],
    env: {},
    activate: [reloadPhp],
    migrate: {
      expand: 'bin/magento setup:db:status || bin/magento setup:upgrade --keep-generated --no-interaction',
      irreversible: 'bin/magento setup:db:status > /dev/null; test $? -eq 2',
      why: [
        'setup:db:status ends with 2 if the database must change; then no release before works with it any more.',
      ],
    },
    maintenance: [
      'The release before refuses requests once the database is ahead of it. A release that does not change the',
      'database needs none of this: sluice deploy production --no-maintenance',
    ],
    after: { 'flush caches': ['bin/magento', 'cache:flush'] },
    cron: { '* * * * *': ['bin/magento', 'cron:run'] },
    check: '/health_check.php',
  },
  wordpress: {
    marks: [['wp-config.php'], ['wp-config-sample.php'], ['wp-includes']],
    linkedDirs: ['wp-content/uploads'],
    linkedFiles: ['wp-config.php'],
    build: [],
    env: {},
    activate: [reloadPhp],
    migrate: {
      expand: ['wp', 'core', 'update-db'],
      why: [
        'WordPress changes its tables so that the version before works with them; see that your plugins do, too.',
      ],
    },
    maintenance: null,
    after: { 'flush the object cache': ['wp', 'cache', 'flush'] },
    // In place of the requests of visitors: wp-config.php says define('DISABLE_WP_CRON', true).
    cron: { '*/5 * * * *': ['php', 'wp-cron.php'] },
    check: '/wp-login.php',
  },
  drupal: {
    marks: [['core/lib/Drupal.php'], ['web/core'], ['web/core/lib/Drupal.php']],
    linkedDirs: ['web/sites/default/files', 'private'],
    linkedFiles: ['web/sites/default/settings.local.php'],
    build: [composer],
    env: {},
    activate: [reloadPhp],
    migrate: {
      expand: ['vendor/bin/drush', 'deploy', '--yes'],
      why: [
        'It updates the database, imports the configuration and rebuilds the caches. Where the release before would not',
        'bear the new configuration: sluice deploy production --maintenance',
      ],
    },
    maintenance: null,
    after: {},
    cron: { '*/15 * * * *': ['vendor/bin/drush', 'cron'] },
    check: '/user/login',
  },
  moodle: {
    marks: [['lib/moodlelib.php'], ['public/lib/moodlelib.php']],
    linkedDirs: [],
    linkedFiles: ['config.php'],
    build: [],
    env: {},
    activate: [reloadPhp],
    migrate: {
      expand: ['php', 'admin/cli/upgrade.php', '--non-interactive'],
      irreversible: 'php admin/cli/upgrade.php --is-pending > /dev/null; test $? -eq 2',
      why: ['--is-pending ends with 2 if the database must change; Moodle cannot go back behind that.'],
    },
    maintenance: [
      'Moodle does not let two versions share a database. A release of the same version needs none of this:',
      'sluice deploy production --no-maintenance',
    ],
    after: { 'purge caches': ['php', 'admin/cli/purge_caches.php'] },
    cron: { '* * * * *': ['php', 'admin/cli/cron.php'] },
    check: '/login/index.php',
  },
  rails: {
    marks: [['config/application.rb', 'Gemfile']],
    linkedDirs: ['log', 'storage', 'tmp/cache', 'tmp/pids', 'tmp/sockets'],
    linkedFiles: ['config/master.key'],
    build: [
      'bundle config set --local path vendor/bundle',
      'bundle config set --local deployment true',
      'bundle config set --local without development:test',
      'bundle install',
      'bin/rails assets:precompile',
    ],
    env: { RAILS_ENV: 'production', SECRET_KEY_BASE_DUMMY: '1' },
    activate: [['sudo', 'systemctl', 'restart', 'NAME-puma']],
    migrate: {
      expand: 'RAILS_ENV=production bin/rails db:migrate',
      why: [
        'Columns go in a later release than the code that used them, or in contract: the second part of migrate.',
      ],
    },
    maintenance: null,
    after: {},
    cron: {},
    check: '/up',
  },
  django: {
    marks: [['manage.py']],
    linkedDirs: ['media'],
    linkedFiles: ['.env'],
    // A virtual environment holds absolute paths; a directory of packages can move to the nodes.
    build: [
      'python3 -m pip install --quiet --target vendor --requirement requirements.txt',
      'PYTHONPATH=vendor python3 manage.py collectstatic --no-input',
    ],
    env: {},
    activate: [['sudo', 'systemctl', 'restart', 'NAME-gunicorn']],
    migrate: {
      expand: 'PYTHONPATH=vendor python3 manage.py migrate --no-input',
      why: [
        'Columns go in a later release than the code that used them, or in contract: the second part of migrate.',
      ],
    },
    maintenance: null,
    after: {},
    cron: { '@daily': 'PYTHONPATH=vendor python3 manage.py clearsessions' },
    check: '/',
  },
  plain: {
    marks: [],
    linkedDirs: ['public/uploads'],
    linkedFiles: ['.env'],
    build: [composer],
    env: {},
    activate: [reloadPhp],
    migrate: null,
    maintenance: null,
    after: {},
    cron: {},
    check: '/',
  },
} as const satisfies Readonly<Record<string, Application>>;

export type ApplicationName = keyof typeof applications;

/** Every path that tells an application: what to look for in a folder. */
export const applicationMarks: readonly string[] = [
  ...new Set(Object.values(applications).flatMap(({ marks }) => marks.flat())),
];

/** The application that files, relative to its folder, belong to; null if they tell none. */
export function detectApplication(files: readonly string[]): ApplicationName | null {
  const present = (mark: string) => files.some((file) => file === mark || file.startsWith(`${mark}/`));
  const found = Object.entries(applications).find(([, { marks }]) =>
    marks.some((paths) => paths.every(present)),
  );
  return (found?.[0] ?? null) as ApplicationName | null;
}
