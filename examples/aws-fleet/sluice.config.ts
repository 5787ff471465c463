import { defineFleet, env } from 'sluice';

export default defineFleet({
  name: 'shop',
  source: {
    seed: {
      instance: 'i-0abc1234def567890',
      // An image is taken only of a seed that works.
      checks: [{ path: '/up', host: 'www.example.org' }],
    },
  },
  fleet: {
    kind: 'aws-auto-scaling',
    group: 'shop-web',
    region: 'eu-west-1',
    // All of the capacity serves at every moment, and half as many again are new at a time.
    servingMin: '100%',
    surge: '50%',
    // Longer than a machine takes to boot, and than the deregistration delay of the target group.
    patience: '20m',
  },
  // Asked of each new machine before it takes traffic.
  checks: [{ path: '/up', host: 'www.example.org', timeout: '2m' }],
  hooks: {
    // Machines of both images use the database meanwhile, so this may only add. It may run twice.
    'before:deploy': [{ name: 'migrate', on: 'operator', run: ['./migrate.sh'], timeout: '30m' }],
  },
  notices: [{ to: 'slack', url: env('SLACK_URL'), on: ['start', 'hold', 'failure', 'rollback'] }],
  stages: {
    production: {},
    staging: {
      fleet: { group: 'shop-staging', servingMin: 1, surge: 1 },
      hooks: { 'before:deploy': [] },
      notices: [],
    },
  },
});
