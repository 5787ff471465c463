import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Vitest begins with the largest files. Some are small, but take minutes: at the end they would run alone, and those that
 * boot kernels, which need a core each, side by side.
 */
export class Spread extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    const order = sorted.filter((file) => nameOf(file) === null);
    for (const file of sorted) {
      const name = nameOf(file);
      if (name !== null) order.splice(places[name], 0, file);
    }
    return order;
  }
}

/** After how many of the others each begins. */
const places = {
  'e2e/shared-storage': 1,
  'e2e/ipvs': 12,
  'e2e/zero-failures': 16,
  'transports/transports.system': 18,
  'simulator/kills': 0,
  'simulator/swarm': 0,
  'sandbox/demo': 2,
} as const;

const nameOf = ({ moduleId }: TestSpecification): keyof typeof places | null =>
  (Object.keys(places) as (keyof typeof places)[]).find((name) => moduleId.endsWith(`/${name}.test.ts`)) ??
  null;
