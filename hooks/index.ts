import type { HookKind } from '../src/core/hook.ts';
import { runCommand } from './run-command.ts';
import { slack } from './slack.ts';
import { smokeTest } from './smoke-test.ts';
import { webhook } from './webhook.ts';

/** Every ready-made hook, by the name that `use` has in a config. */
export const hookKinds = {
  'smoke-test': smokeTest,
  'run-command': runCommand,
  webhook,
  slack,
} as const satisfies Readonly<Record<string, HookKind>>;
