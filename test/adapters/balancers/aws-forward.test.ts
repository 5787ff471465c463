import type { Action } from '@aws-sdk/client-elastic-load-balancing-v2';
import { expect, test } from 'vitest';
import { partsOf } from '../../../src/adapters/balancers/aws-forward.ts';

const pools = new Map([
  ['blue', ['arn:blue', 'arn:blue-tls']],
  ['green', ['arn:green', 'arn:green-tls']],
]);
const forward = (weights: Readonly<Record<string, number>>): Action => ({
  Type: 'forward',
  ForwardConfig: {
    TargetGroups: Object.entries(weights).map(([name, Weight]) => ({
      TargetGroupArn: `arn:${name}`,
      Weight,
    })),
  },
});

test('what each pool gets is in percent, whatever the weights are', () => {
  expect(partsOf([forward({ blue: 2, green: 1 })], pools)).toEqual({ blue: 66.7, green: 33.3 });
  expect(partsOf([forward({ blue: 2, 'blue-tls': 2, green: 1 })], pools)).toEqual({ blue: 80, green: 20 });
  expect(partsOf([forward({ blue: 0, green: 0 })], pools)).toEqual({ blue: 0, green: 0 });
});

test('nothing is said of actions that differ, and of those that send some elsewhere', () => {
  expect(partsOf([forward({ blue: 4, green: 1 }), forward({ blue: 8, green: 2 })], pools)).not.toBeNull();
  expect(partsOf([forward({ blue: 4, green: 1 }), forward({ blue: 1, green: 1 })], pools)).toBeNull();
  expect(partsOf([forward({ blue: 4, green: 1, api: 1 })], pools)).toBeNull();
});
