import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** The files that last a minute or more begin first, the longest before all: none is left alone at the end. */
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

/** The two that boot kernels, which need a core each, are far from each other. */
const longest = [
  'e2e/ipvs',
  'e2e/lock',
  'e2e/killed-under-faults',
  'e2e/release-directory',
  'e2e/zero-failures',
  'e2e/blue-green',
  'e2e/rolling',
  'e2e/shared-storage',
  'e2e/lock-under-faults',
  'e2e/varnish',
  'e2e/honesty',
  'e2e/pair',
  'e2e/rollback',
  'transports/transports.system',
  'e2e/seed',
  'e2e/nginx',
  'e2e/wordpress',
  'e2e/partial',
  'e2e/cron-timers',
  'e2e/cron',
  'e2e/migration',
];
