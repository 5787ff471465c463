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
  /** What brings the database and the caches to the new release: once, on the first node that has it. */
  readonly once: Readonly<Record<string, CommandLine>>;
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
    once: {
      migrate: ['bin/magento', 'setup:upgrade', '--keep-generated', '--no-interaction'],
      'flush caches': ['bin/magento', 'cache:flush'],
    },
    check: '/health_check.php',
  },
  wordpress: {
    marks: [['wp-config.php'], ['wp-config-sample.php'], ['wp-includes']],
    linkedDirs: ['wp-content/uploads'],
    linkedFiles: ['wp-config.php'],
    build: [],
    env: {},
    activate: [reloadPhp],
    once: { migrate: ['wp', 'core', 'update-db'], 'flush caches': ['wp', 'cache', 'flush'] },
    check: '/wp-login.php',
  },
  drupal: {
    marks: [['core/lib/Drupal.php'], ['web/core'], ['web/core/lib/Drupal.php']],
    linkedDirs: ['web/sites/default/files', 'private'],
    linkedFiles: ['web/sites/default/settings.local.php'],
    build: [composer],
    env: {},
    activate: [reloadPhp],
    // Updates the database, imports the configuration and rebuilds the caches, in the order that Drupal asks for.
    once: { migrate: ['vendor/bin/drush', 'deploy', '--yes'] },
    check: '/user/login',
  },
  moodle: {
    marks: [['lib/moodlelib.php'], ['public/lib/moodlelib.php']],
    linkedDirs: [],
    linkedFiles: ['config.php'],
    build: [],
    env: {},
    activate: [reloadPhp],
    once: {
      migrate: ['php', 'admin/cli/upgrade.php', '--non-interactive'],
      'flush caches': ['php', 'admin/cli/purge_caches.php'],
    },
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
    once: { migrate: 'RAILS_ENV=production bin/rails db:migrate' },
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
    once: { migrate: 'PYTHONPATH=vendor python3 manage.py migrate --no-input' },
    check: '/',
  },
  plain: {
    marks: [],
    linkedDirs: ['public/uploads'],
    linkedFiles: ['.env'],
    build: [composer],
    env: {},
    activate: [reloadPhp],
    once: {},
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
