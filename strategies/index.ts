import type { StrategyKind } from '../src/core/strategy.ts';
import { allAtOnce } from './all-at-once.ts';
import { blueGreen } from './blue-green.ts';
import { canary } from './canary.ts';
import { rolling } from './rolling.ts';

/** Every strategy that a config can name. */
export const strategies = {
  rolling,
  'all-at-once': allAtOnce,
  canary,
  'blue-green': blueGreen,
} as const satisfies Readonly<Record<string, StrategyKind>>;
