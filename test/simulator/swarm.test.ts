import { beforeAll, describe, expect, test } from 'vitest';
import type { StepKind } from '../../src/core/step.ts';
import { commandMark, type SiteState, siteStates, stepMark } from '../../src/simulator/coverage.ts';
import type { FaultMix } from '../../src/simulator/faults.ts';
import type { SessionCommand } from '../../src/simulator/session.ts';
import { type Swarm, swarm } from './swarm.ts';

/** Every seed draws its own site, strategy and mix of faults. */
const seeds = 10_000;
const storiesShown = 3;

/** A swarm that meets something less often proves too little of it. */
const struckMin = 100;
const metMin = 10;

let lives: Swarm;

beforeAll(async () => {
  lives = await swarm({ from: 1, seeds });
});

test('every promise holds, whatever happens, and all comes right once nothing fails any more', () => {
  const { broken } = lives;
  const told = broken.slice(0, storiesShown).map(({ story }) => story);
  const others = broken.slice(storiesShown).map(({ seed, promise }) => `${seed} (${promise})`);
  expect([...told, ...others].join('\n\n'), `${broken.length} seeds broke a promise`).toBe('');
});

/** By what name each part of a mix is counted when it strikes. */
const faults: { readonly [F in keyof FaultMix]: readonly string[] } = {
  unreachable: ['unreachable'],
  lostRequest: ['lost request'],
  lostReply: ['lost reply'],
  slow: ['slow'],
  duplicate: ['duplicate'],
  balancerError: ['balancer error'],
  staleRead: ['stale read'],
  hookFails: ['hook fails'],
  activateFails: ['activate fails'],
  sourceFails: ['source fails'],
  reboots: ['reboot'],
  balancerRestarts: ['balancer restart'],
  flaps: ['flap'],
  cutOffs: ['cut off'],
  fullDisks: ['full disk'],
  operatorActs: ['operator acts'],
  branchMoves: ['branch moves'],
  secondRuns: ['second run'],
  pauses: ['pause'],
  brokenLocks: ['broken lock'],
  clockJumps: ['clock jump'],
  leaves: ['leave'],
  joins: ['join'],
  lateJoins: ['node joins'],
  brokenRelease: ['broken release'],
  erringRelease: ['erring release'],
  staleCodeMs: ['stale code'],
  balancerDeaths: ['balancer dies', 'holder dies', 'passive dies'],
  balancerCutOffs: ['balancer cut off'],
  addressMoves: ['address moves', 'address to one that starts anew'],
  killAtCall: ['kill'],
  signalAtCall: ['SIGINT', 'SIGTERM'],
};

/** A person's look through the balancers is no part of the simulated world. */
const steps: { readonly [K in Exclude<StepKind, 'preview'>]: true } = {
  build: true,
  fetch: true,
  prepare: true,
  drain: true,
  activate: true,
  check: true,
  enable: true,
  flip: true,
  cleanup: true,
  cron: true,
  hook: true,
  hold: true,
  shift: true,
  maintenance: true,
};

/** How each command may end. */
const ends: { readonly [C in SessionCommand]: readonly string[] } = {
  deploy: [
    'done',
    'done in part',
    'held',
    'died',
    'nothing to do',
    'rolled back',
    'needs a person',
    'interrupted',
    'locked',
    'refused',
  ],
  rollback: ['done', 'died', 'rolled back', 'needs a person', 'interrupted', 'locked', 'refused'],
  resume: ['done', 'held', 'died', 'rolled back', 'needs a person', 'locked', 'refused'],
  abort: ['done', 'died', 'needs a person', 'locked', 'refused'],
  promote: ['done', 'refused'],
  sync: ['done', 'nothing to do', 'locked', 'refused'],
  flip: ['done', 'refused'],
  'flip back': ['done', 'refused'],
  unlock: ['done', 'died'],
  drain: ['done', 'LOCKED', 'FLOOR_AT_RISK', 'DRAIN_TIMEOUT'],
  enable: ['done', 'LOCKED', 'ENABLE_TIMEOUT'],
  cron: ['done', 'LOCKED', 'CRON_UNFIT', 'CRON_UNKNOWN'],
};

/** Only a part of the sites can be flipped: what they meet too seldom to be counted on. That a flip dies, kills.test.ts sees to. */
const seldomWithPools: readonly SiteState[] = [
  'node down',
  'node left out by a run',
  'locked by a live run',
  'locked by a dead run',
];

const seldom: { readonly [C in SessionCommand]?: readonly SiteState[] } = {
  flip: seldomWithPools,
  'flip back': seldomWithPools,
};

const commands = Object.keys(ends) as readonly SessionCommand[];

describe('the swarm meets everything', () => {
  const traits = ['soft drain only', 'flips only', 'workers'];
  test.each([...Object.values(faults).flat(), ...traits])('the fault: %s', (fault) => {
    expect(lives.struck[fault] ?? 0).toBeGreaterThanOrEqual(struckMin);
  });

  test.each(Object.keys(steps))('the step: %s', (kind) => {
    expect(lives.met[stepMark(kind)] ?? 0).toBeGreaterThanOrEqual(metMin);
  });

  test.each(commands)('%s in every state of the site, and in every way that it can end', (command) => {
    const states = (Object.keys(siteStates) as readonly SiteState[])
      .filter((state) => !seldom[command]?.includes(state))
      .map((state) => commandMark(command, state));
    expect(states.filter((mark) => (lives.met[mark] ?? 0) < metMin)).toEqual([]);
    expect(ends[command].filter((end) => timesOf(`${command}: ${end}`) < leastOf(command, end))).toEqual([]);
  });
});

/** What is met too seldom to be counted on ten times: manual.test.ts has it for sure. */
const leastOf = (command: SessionCommand, end: string): number =>
  command === 'drain' && end === 'FLOOR_AT_RISK' ? 5 : metMin;

/** What follows the end, such as a failure's code, does not matter. */
const timesOf = (end: string): number =>
  Object.entries(lives.met).reduce((sum, [met, lives]) => sum + (met.startsWith(end) ? lives : 0), 0);
