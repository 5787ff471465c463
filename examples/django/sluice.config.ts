import { defineSite } from 'sluice';

export default defineSite({
  name: 'library',
  source: {
    git: 'git@git.example.org:library.git',
    // A virtual environment holds absolute paths; a directory of packages can move to the nodes.
    build: [
      'python3 -m pip install --quiet --target vendor --requirement requirements.txt',
      'PYTHONPATH=vendor python3 manage.py collectstatic --no-input',
    ],
    env: { DJANGO_SETTINGS_MODULE: 'library.settings.build' },
  },
  deployTo: '/srv/library',
  linkedDirs: ['media'],
  linkedFiles: ['.env'],
  activate: [['sudo', 'systemctl', 'restart', 'library-gunicorn']],
  checks: [
    { path: '/up/', host: 'library.example.org', expect: '{{revision}}', timeout: '60s' },
    { path: '/static/site.css', host: 'library.example.org' },
  ],
  // Once for the whole fleet, in the new release, before any node serves it: the old one must bear the new schema.
  migrate: { expand: 'PYTHONPATH=vendor python3 manage.py migrate --no-input' },
  hooks: {
    'after:deploy': [
      ({ site, stage, release, operator }) => {
        // A hook can be code: it is given what happened, and may run commands on nodes or ask them over HTTP.
        console.error(`${operator} released ${site} ${release.revision.slice(0, 7)} to ${stage}`);
      },
    ],
  },
  stages: {
    production: {
      // Mounted on every node at /srv/library/shared/media.
      shared: { linkedDirs: ['media'] },
      nodes: [{ name: 'web[1:4]', address: 'web[1:4].example.org', user: 'deploy' }],
      balancers: {
        lb: {
          kind: 'haproxy',
          host: 'lb.example.org',
          socket: '/run/haproxy/admin.sock',
          backend: 'library',
        },
      },
      servingMin: '75%',
    },
    staging: {
      source: { ref: 'develop' },
      nodes: [{ name: 'staging', address: 'staging.example.org', user: 'deploy' }],
    },
  },
});
