import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { hookKinds } from '../hooks/index.ts';
import { addressKinds } from '../src/adapters/addresses/index.ts';
import { balancerKinds } from '../src/adapters/balancers/index.ts';
import { noticeKinds } from '../src/adapters/notices/index.ts';
import { commandEntries, operands } from '../src/cli/commands/index.ts';
import { settingsReference } from '../src/config/reference.ts';
import { exitStatuses } from '../src/core/errors.ts';
import { strategies } from '../strategies/index.ts';
import { powerTable } from './core/verdict-power.ts';

const file = new URL('../README.md', import.meta.url);

/** What the code says, for each marked block of the README. */
const blocks: Readonly<Record<string, string>> = {
  commands: table(
    ['command', ''],
    commandEntries.map(({ name, operands: given, summary }) => [
      `\`${['sluice', name, ...given.map((operand) => operands[operand][0])].join(' ')}\``,
      summary,
    ]),
  ),
  exit: table(['status', ''], Object.entries(exitStatuses)),
  verdict: powerTable(),
  settings: settingsReference({
    strategies,
    balancers: balancerKinds,
    addresses: addressKinds,
    hooks: hookKinds,
    notices: noticeKinds,
  }),
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
