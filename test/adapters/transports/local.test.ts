import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { localTransport } from '../../../src/adapters/transports/local.ts';
import { commandOf, isCode, transportContract, untilThere } from '../../contracts/transport.ts';
import { hostOf } from './settings.ts';

transportContract('local', async () => ({
  transport: localTransport({ become: null }),
  host: hostOf(),
  stop: async () => undefined,
}));

test('a command that is interrupted has seconds to undo what it did, which are awaited', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'local-'));
  const [begun, undone] = [join(folder, 'begun'), join(folder, 'undone')];
  const stop = new AbortController();
  const script = `trap 'sleep 1.5; touch ${undone}; exit 1' TERM; touch ${begun}; while :; do sleep 0.1; done`;
  const going = localTransport({ become: null }).run(hostOf(), commandOf(script), { signal: stop.signal });
  const outcome = expect(going).rejects.toSatisfy(isCode('OUTCOME_UNKNOWN'));
  await untilThere(begun);
  stop.abort();
  await outcome;
  expect(existsSync(undone)).toBe(true);
  rmSync(folder, { recursive: true });
});
