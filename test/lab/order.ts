import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that last about a minute or more begin first, the longest before all: none is left alone at the end. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((a, b) => rank(a) - rank(b));
  }
}

const rank = ({ moduleId }: TestSpecification): number => {
  const at = longest.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
  return at < 0 ? longest.length : at;
};

/** Those that boot kernels, which need a core each, are neither at the beginning nor side by side. */
const longest = [
  'simulator/swarm',
  'simulator/kills',
  'balancers/external',
  'sandbox/demo',
  'e2e/killed-under-faults',
  'e2e/release-directory',
  'e2e/blue-green',
  'e2e/rolling',
  'e2e/shared-storage',
  'e2e/lock',
  'e2e/zero-failures',
  'e2e/honesty',
  'e2e/pair',
  'e2e/lock-under-faults',
  'e2e/ipvs',
  'e2e/rollback',
  'e2e/seed',
  'e2e/nginx',
  'e2e/wordpress',
  'e2e/partial',
  'e2e/varnish',
  'transports/transports.system',
  'e2e/cron',
  'e2e/cron-timers',
  'e2e/migration',
];
