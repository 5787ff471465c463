import { describe, expect, test } from 'vitest';
import type { Overrides } from '../../src/config/overrides.ts';
import { problemsWith, siteWith } from './parsing.ts';

const strategyOf = (overrides: Overrides, settings: object = {}) =>
  siteWith(settings, { overrides }).strategy;

describe('the command line', () => {
  test.each([
    ['2', [2]],
    ['30%', ['30%']],
    ['1,30%,100%', [1, '30%', '100%']],
    ['1, 2', [1, 2]],
  ])('may set the batch %s', (batch, sizes) => {
    expect(strategyOf({ batch })).toEqual({ name: 'rolling', options: { batch: sizes, hold: null } });
  });

  test('may set the strategy, which then has its defaults', () => {
    expect(strategyOf({ strategy: 'all-at-once' }, { strategy: { name: 'rolling', batch: 2 } })).toEqual({
      name: 'all-at-once',
      options: {},
    });
  });

  test('that names the strategy of the config keeps its options', () => {
    expect(strategyOf({ strategy: 'rolling' }, { strategy: { name: 'rolling', batch: 2 } })).toEqual({
      name: 'rolling',
      options: { batch: [2], hold: null },
    });
  });

  test('names another strategy than one of your own, which has no batch', () => {
    const strategy = { name: 'mine', summary: '', *steps() {} };
    const site = siteWith({ strategy }, { overrides: { strategy: 'rolling', batch: '2' } });
    expect(site.strategy).toEqual({ name: 'rolling', options: { batch: [2], hold: null } });
    expect(problemsWith({ strategy }, { overrides: { batch: '2' } })).toEqual([
      '--batch: the config brings a strategy of its own, which has no option batch',
    ]);
  });

  test('wins over the stage', () => {
    const stages = { production: { onFailure: 'halt', strategy: 'all-at-once' } };
    const site = siteWith(
      { stages },
      { overrides: { onFailure: 'rollback-batch', strategy: 'rolling', batch: '3' } },
    );
    expect([site.onFailure, site.strategy.options]).toEqual(['rollback-batch', { batch: [3], hold: null }]);
  });

  test.each<[Overrides, string]>([
    [
      { strategy: 'all-at-once', batch: '2' },
      '--batch: strategy all-at-once has no option batch; its options are: nothing',
    ],
    [{ batch: 'two' }, '--batch: expected a count of nodes such as 2 or a part such as \'30%\', got "two"'],
    [{ batch: '1,0' }, '--batch: expected a count of nodes such as 2 or a part such as \'30%\', got "0"'],
    [{ batch: '' }, '--batch: expected a count of nodes such as 2 or a part such as \'30%\', got ""'],
    [
      { strategy: 'roling' },
      "--strategy: expected 'rolling' or 'all-at-once' or 'canary' or 'blue-green', got \"roling\"; did you mean rolling?",
    ],
    [
      { strategy: 'toString', batch: '2' },
      "--strategy: expected 'rolling' or 'all-at-once' or 'canary' or 'blue-green', got \"toString\"",
    ],
    [
      { onFailure: 'undo' },
      "--on-failure: expected 'rollback' or 'rollback-batch' or 'halt' or 'hold', got \"undo\"",
    ],
  ])('%j is refused by the name of the flag', (overrides, message) => {
    expect(problemsWith({}, { overrides })).toEqual([message]);
  });
});
