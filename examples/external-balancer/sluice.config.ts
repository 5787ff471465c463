import { defineSite, env } from 'sluice';

export default defineSite({
  name: 'tickets',
  source: { git: 'git@git.example.org:tickets.git', build: [['npm', 'ci']] },
  deployTo: '/srv/tickets',
  linkedDirs: ['log'],
  linkedFiles: ['.env'],
  activate: [['sudo', 'systemctl', 'restart', 'tickets']],
  checks: [{ path: '/up', port: 8080, expect: '{{revision}}', timeout: '30s' }],
  stages: {
    production: {
      nodes: [{ name: 'web[1:3]', address: 'web[1:3].example.org', user: 'deploy' }],
      balancers: {
        front: {
          kind: 'external',
          command: ['node', 'balancer.mjs'],
          env: { BALANCER_URL: 'http://front.example.org:8081', BALANCER_TOKEN: env('BALANCER_TOKEN') },
        },
      },
      servingMin: 2,
    },
    staging: { nodes: ['staging.example.org'] },
  },
});
