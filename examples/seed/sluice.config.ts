import { defineSite } from 'sluice';

export default defineSite({
  name: 'archive',
  source: {
    seed: {
      host: 'seed.example.org',
      user: 'deploy',
      path: '/srv/archive/app',
      // Made anew by every node; what is linked stays out by itself.
      exclude: ['.git', 'var/cache', '**/*.log'],
      store: '/mnt/images/archive',
      // An image is taken only of a seed that works.
      checks: [{ path: '/up.php', host: 'www.example.org', timeout: '30s' }],
    },
  },
  deployTo: '/srv/archive',
  linkedDirs: ['var/log', 'var/cache'],
  linkedFiles: ['.env'],
  activate: [['sudo', 'systemctl', 'reload', 'php8.3-fpm']],
  // up.php shows the file REVISION, which holds the name of the image.
  checks: [{ path: '/up.php', host: 'www.example.org', expect: '{{revision}}', timeout: '30s' }],
  stages: {
    production: {
      nodes: [{ name: 'web[1:4]', address: 'web[1:4].example.org', user: 'deploy' }],
      balancers: {
        lb: { kind: 'haproxy', host: 'lb.example.org', socket: '/run/haproxy/admin.sock', backend: 'web' },
      },
      servingMin: 3,
    },
    staging: { nodes: ['staging.example.org'] },
  },
});
