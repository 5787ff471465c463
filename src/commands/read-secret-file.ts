import type { NodeCommand } from '../core/command.ts';
import { Secret } from '../core/secret.ts';
import { words } from './shell.ts';

/** All bytes of a file, in hexadecimal: they need not be text. */
export const readSecretFile = (file: string, timeoutMs: number): NodeCommand<Secret> => ({
  name: 'read-secret-file',
  params: { file },
  summary: `read ${file}`,
  script: words('od', '-An', '-v', '-tx1', file),
  parse: (stdout) => new Secret(stdout.replace(/\s/g, '')),
  timeoutMs,
});
