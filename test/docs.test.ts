import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { registries } from '../bin/registries.ts';
import { balancerKinds } from '../src/adapters/balancers/index.ts';
import { commandEntries, operands } from '../src/cli/commands/index.ts';
import { settingsReference } from '../src/config/reference.ts';
import { exitStatuses } from '../src/core/errors.ts';
import type { BalancerCapabilities } from '../src/ports.ts';
import { powerTable } from './core/verdict-power.ts';

const file = new URL('../README.md', import.meta.url);

const leaving: Readonly<Record<BalancerCapabilities['drain'], string>> = {
  soft: 'softly: sticky sessions keep coming',
  hard: 'at once, for all that is new',
  both: 'softly, then at once',
};

const counting: Readonly<Record<BalancerCapabilities['sessions'], string>> = {
  exact: 'counted',
  estimate: 'as connections, idle ones too',
  none: 'not counted: see drain.port',
};

const weighing: Readonly<Record<BalancerCapabilities['weights'], string>> = {
  server: 'of servers',
  pool: 'of pools',
  none: 'no',
};

/** What stood behind the driver in the tests that hold every kind to one contract. */
const testedWith: Readonly<Record<keyof typeof balancerKinds, string>> = {
  haproxy: 'HAProxy 2.6 and 3.0',
  'haproxy-dataplane': 'a stand-in for the API, before a real HAProxy',
  nginx: 'nginx 1.22',
  ipvs: 'ipvsadm, in a kernel of its own',
  ldirectord: 'ldirectord, in a kernel of its own',
  varnish: 'Varnish 7.1',
  aws: 'moto, and a stand-in with a drain clock',
  'aws-classic': 'moto, and a stand-in with a drain clock',
  linode: 'a stand-in for the API',
  rackspace: 'a stand-in for the API',
  address: 'keepalived; only flips',
  external: 'its example, before the embedded balancer',
  embedded: 'itself',
};

/** Those whose drivers have `webSockets`. */
const tellsWebSockets: readonly string[] = ['haproxy', 'embedded'];

/** What the code says, for each marked block of the README. */
const blocks: Readonly<Record<string, string>> = {
  commands: table(
    ['command', ''],
    commandEntries.map(({ name, operands: given, summary }) => [
      `\`${['sluice', name, ...given.map((operand) => operands[operand][0])].join(' ')}\``,
      summary,
    ]),
  ),
  balancers: table(
    [
      'kind',
      'a node leaves',
      'requests in flight',
      'weights',
      'flip',
      'WebSockets apart',
      'errors counted',
      'after a restart',
      'tested with',
    ],
    Object.entries(balancerKinds).map(([kind, { capabilities }]) => [
      `\`${kind}\``,
      leaving[capabilities.drain],
      counting[capabilities.sessions],
      weighing[capabilities.weights],
      capabilities.flip === 'none' ? 'no' : `yes, ${capabilities.flip}`,
      tellsWebSockets.includes(kind) ? 'yes' : 'no',
      capabilities.counters ? 'yes' : 'no',
      capabilities.successor.rotation === 'kept' ? 'knows who is out' : 'forgets who is out',
      testedWith[kind as keyof typeof balancerKinds],
    ]),
  ),
  exit: table(['status', ''], Object.entries(exitStatuses)),
  verdict: powerTable(),
  settings: settingsReference(registries),
};

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const filled = (readme: string): string =>
  Object.entries(blocks).reduce(
    (text, [name, content]) =>
      text.replace(
        new RegExp(`(<!-- ${name}: .*? -->\n)[\\s\\S]*?(<!-- /${name} -->)`),
        (_, open: string, close: string) => `${open}${content}\n${close}`,
      ),
    readme,
  );

describe('the README', () => {
  const readme = readFileSync(file, 'utf8');
  if (process.env.WRITE_DOCS === 'true') writeFileSync(file, filled(readme));

  test.each(Object.keys(blocks))('has a block for %s', (name) => {
    expect(readme).toContain(`<!-- /${name} -->`);
  });

  test('says what the code does; npm run docs writes it anew', () => {
    expect(readFileSync(file, 'utf8')).toBe(filled(readme));
  });
});
