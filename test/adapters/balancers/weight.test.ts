import { describe, expect, test } from 'vitest';
import { percentOf, weightAt } from '../../../src/adapters/balancers/weight.ts';

const at = (percent: number, configured: number): number =>
  weightAt(percent, { balancer: 'lb', server: 'lb web/web1', configured });

describe('weightAt', () => {
  test.each([
    [25, 100, 25],
    [10, 128, 12],
    [1, 256, 2],
    [0, 1, 0],
    [100, 1, 1],
    [50, 2, 1],
    [99, 100, 99],
  ])('%d %% of %d is %d', (percent, configured, weight) => {
    expect(at(percent, configured)).toBe(weight);
    expect(percent - percentOf({ now: weight, configured })).toBeLessThan(1);
  });

  test.each([
    [25, 1, 0],
    [50, 3, 33.3],
    [1, 10, 0],
    [100, 0, 0],
  ])('%d %% of %d is refused: it would be %d %%', (wanted, configured, nearest) => {
    expect(() => at(wanted, configured)).toThrow(
      expect.objectContaining({
        code: 'BALANCER_WEIGHT_COARSE',
        details: { balancer: 'lb', server: 'lb web/web1', wanted, configured, nearest },
      }),
    );
  });

  test.each([-1, 100.5, 101, Number.NaN])('%d %% is a bug', (percent) => {
    expect(() => at(percent, 100)).toThrow('a weight is a whole percentage');
  });
});
