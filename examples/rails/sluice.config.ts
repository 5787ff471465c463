import { defineSite, env } from 'sluice';

export default defineSite({
  name: 'shop',
  source: {
    git: 'git@git.example.org:shop.git',
    // Gems and assets are built once, here. The nodes need the same Ruby and the same kind of system.
    build: [
      'bundle config set --local path vendor/bundle',
      'bundle config set --local deployment true',
      'bundle config set --local without development:test',
      'bundle install',
      'bin/rails assets:precompile',
    ],
    env: { RAILS_ENV: 'production', SECRET_KEY_BASE_DUMMY: '1' },
    exclude: ['spec', 'test'],
  },
  deployTo: '/srv/shop',
  linkedDirs: ['log', 'storage', 'tmp/pids', 'tmp/sockets'],
  linkedFiles: ['config/master.key'],
  activate: [['sudo', 'systemctl', 'restart', 'shop-puma']],
  // Puma takes a while to boot: the check asks every second until it answers, as the new release.
  checks: [{ path: '/up', host: 'shop.example.org', expect: '{{revision}}', timeout: '90s' }],
  // Once for the whole fleet, in the new release, before any node serves it: the old one must bear the new schema.
  migrate: { expand: 'RAILS_ENV=production bin/rails db:migrate', timeout: '15m' },
  hooks: {
    'after:activate': [
      { name: 'restart jobs', run: ['sudo', 'systemctl', 'restart', 'shop-sidekiq'], role: 'jobs' },
    ],
  },
  stages: {
    production: {
      // Mounted on every node at /srv/shop/shared/storage.
      shared: { linkedDirs: ['storage'] },
      nodes: [
        { name: 'web[01:09]', address: 'web[01:09].example.org', roles: ['web'] },
        { name: 'web10', address: 'web10.example.org', roles: ['web', 'jobs'] },
      ],
      balancers: {
        lb: { kind: 'haproxy', host: 'lb.example.org', socket: '/run/haproxy/admin.sock', backend: 'shop' },
      },
      // One node first; then three at a time.
      strategy: { name: 'rolling', batch: [1, 3] },
      servingMin: '70%',
      ssh: { user: 'deploy' },
      hooks: {
        'after:deploy': [{ use: 'slack', url: env('SLACK_URL') }],
        failed: [{ use: 'slack', url: env('SLACK_URL') }],
      },
    },
    staging: {
      nodes: [{ name: 'staging', address: 'staging.example.org', user: 'deploy', roles: ['web', 'jobs'] }],
    },
  },
});
