import type { FleetSite } from '../../../src/core/fleet.ts';

/** A fleet as a config makes it, which is asked one question and waits for nothing long. */
export const fleetSite = (more: Partial<FleetSite> = {}): FleetSite => ({
  name: 'shop',
  stage: 'production',
  seed: { instance: 'i-0123456789abcdef0', reboot: true, checks: [], timeoutMs: 1000 },
  ref: 'newest',
  fleet: { kind: 'any', options: {}, servingMin: '100%', surge: '50%', patienceMs: 300_000 },
  checks: [
    {
      path: '/up',
      scheme: 'http',
      port: 80,
      host: null,
      status: 200,
      expect: null,
      attemptsMax: 3,
      intervalMs: 1000,
      timeoutMs: 10_000,
      via: 'direct',
    },
  ],
  onFailure: 'rollback',
  hooks: [],
  notices: [],
  keepReleases: 5,
  ...more,
});
