import type { SshSettings } from '../../../src/core/site.ts';
import type { Host } from '../../../src/ports.ts';

/** Settings that look at nothing of the user who runs the tests. */
export const settingsOf = (settings: Partial<SshSettings> = {}): SshSettings => ({
  transport: 'ssh2',
  user: null,
  port: null,
  keys: [],
  agent: false,
  jump: [],
  configFile: null,
  knownHosts: [],
  hostKeys: 'strict',
  connectTimeoutMs: 5000,
  keepAliveMs: 5000,
  attemptsMax: 3,
  ...settings,
});

export const hostOf = (host: Partial<Host> = {}): Host => ({
  name: 'web1',
  address: '127.0.0.1',
  port: null,
  user: null,
  ...host,
});
