import { defineSite } from 'sluice';

export default defineSite({
  name: 'guestbook',
  source: {
    git: 'git@git.example.org:guestbook.git',
    build: ['composer install --no-dev --prefer-dist --optimize-autoloader --no-interaction'],
    exclude: ['tests'],
  },
  deployTo: '/srv/guestbook',
  linkedDirs: ['public/uploads'],
  linkedFiles: ['.env'],
  // PHP-FPM keeps compiled code in memory; a reload makes it read the new release.
  activate: [['sudo', 'systemctl', 'reload', 'php8.3-fpm']],
  // up.php shows the revision of the code that runs it: see the README.
  checks: [{ path: '/up.php', host: 'www.example.org', expect: '{{revision}}', timeout: '30s' }],
  stages: {
    production: {
      // Mounted on every node at /srv/guestbook/shared/public/uploads.
      shared: { linkedDirs: ['public/uploads'] },
      nodes: [{ name: 'web[1:4]', address: 'web[1:4].example.org', user: 'deploy' }],
      balancers: {
        lb: { kind: 'haproxy', host: 'lb.example.org', socket: '/run/haproxy/admin.sock', backend: 'web' },
      },
      servingMin: 3,
    },
    staging: {
      source: { ref: 'develop' },
      nodes: ['staging.example.org'],
    },
  },
});
