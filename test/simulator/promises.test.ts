import { expect, test } from 'vitest';
import { checkers, lastPromises } from '../../src/simulator/checkers/index.ts';

const all: readonly string[] = [...checkers.map(({ name }) => name), ...lastPromises];

/** Who watches over a promise; a sentence where nobody does yet. */
type WatchedBy = readonly string[] | string;

/** The promises that the tool makes, in their order. */
const promises: { readonly [promise: string]: WatchedBy } = {
  '1 floor': ['floor', 'out-at-once'],
  '2 no spilled request': ['no-spilled-request', 'told-together', 'drain-in-time'],
  '3 proof before traffic': ['proof-before-traffic', 'allowed-release', 'join-gate'],
  '4 blast radius': ['blast-radius', 'proof-before-traffic'],
  '5 way back': ['way-back', 'one-way-back', 'floor'],
  '6 ours only': ['ours-only'],
  '7 once': ['once'],
  '8 one cron': ['one-cron', 'cron-held'],
  '9 one revision': ['one-revision'],
  '10 nothing to do is nothing done': ['nothing-to-do'],
  '11 the end is true': ['end-is-true', 'lock-freed', 'nothing-left-drained'],
  '12 it always ends': ['always-ends', 'in-time', 'converges'],
};

/** What is known to go wrong in tools of this kind: what must never be so, and what must come to be. */
const invariants: { readonly [invariant: string]: WatchedBy } = {
  'S1 floor': ['floor'],
  'S2 never more nodes out than the strategy takes out': ['out-at-once'],
  'S3 no request is cut before its time, and none is sent to a drained node': [
    'no-spilled-request',
    'told-together',
  ],
  'S4 no change of a node that a balancer may send requests': ['no-spilled-request'],
  'S5 back only on answers as the new release, after the last change': ['proof-before-traffic'],
  'S6 no next step before the gate of the one before': ['blast-radius', 'judged-first', 'baked-well'],
  'S7 blast radius': ['blast-radius', 'judged-first'],
  'S8 no failed release serves after the end': ['proof-before-traffic', 'end-is-true'],
  'S9 what is judged is compared with what did not change': ['judged-first'],
  'S10 what is rolled back to is whole, the same bytes, and there': ['way-back', 'one-revision'],
  'S11 at most one way back by itself': ['one-way-back'],
  'S12 mutual exclusion by fencing': ['fencing', 'single-lock'],
  'S13 once': ['once'],
  'S14 schema window': ['schema-window'],
  'S15 one cron': ['one-cron', 'cron-held'],
  'S16 assets of every release that is served can be fetched everywhere': ['assets-first'],
  'no job of a worker is cut, and workers run what is live': ['workers-whole'],
  'S17 blue and green are never mixed': ['pool-whole'],
  'S18 sticky visitors go from new to old by a rollback alone': 'balancers do not say who is sticky to what',
  'S19 nothing is changed while it is held': ['still-while-held'],
  'S20 the same bytes everywhere': ['one-revision'],
  'S21 the journal is written ahead': ['journal-first'],
  'S22 nothing is left drained or locked, and what is not ours is left alone': [
    'nothing-left-drained',
    'weights-whole',
    'told-again',
    'lock-freed',
    'ours-only',
  ],
  'S23 who comes into rotation has a release that is allowed': ['allowed-release'],
  'S24 exit status and report are true': ['end-is-true'],
  'L1 all nodes end on the target': ['converges'],
  'L2 every command ends within a time that its plan gives': ['always-ends', 'in-time'],
  'L3 the lock of a dead run is taken over, and its work finished': ['converges'],
  'L4 lost machines do not keep the others from being left well': ['others-go-on'],
  'L5 a drain ends with the last request, or with its time': ['drain-in-time'],
  'L6 a finished deploy that is repeated changes nothing': ['nothing-to-do'],
};

const tables = { promises, invariants };

test.each(Object.entries(tables))('each of the %s has its checkers, or a reason why not', (_name, table) => {
  for (const [promise, watchedBy] of Object.entries(table)) {
    if (typeof watchedBy === 'string') continue;
    expect([promise, watchedBy.filter((name) => !all.includes(name))]).toEqual([promise, []]);
    expect([promise, watchedBy.length > 0]).toEqual([promise, true]);
  }
});

test('every checker watches over a promise', () => {
  const watching = Object.values(tables).flatMap((table) => Object.values(table).flat());
  expect(all.filter((name) => !watching.includes(name))).toEqual([]);
});
