import { spawnSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { loginCommand, quote, strictCommand, userCommand, words } from '../../src/commands/shell.ts';
import { chance } from '../core/fleet.ts';

const echoed = (command: string): string => spawnSync('sh', ['-c', command], { encoding: 'utf8' }).stdout;

describe('quoting', () => {
  test.each([
    "it's",
    'a b',
    '$HOME',
    '`id`',
    '$(id)',
    'a\nb',
    '',
    '*',
    '~',
    '"',
    '\\',
    '-n',
    ';rm -rf x',
    '!',
    '#x',
  ])('a shell reads %j back as it was', (argument) => {
    expect(echoed(words('printf', '%s', argument))).toBe(argument);
  });

  test('a shell reads any text back as it was', () => {
    const random = chance(7);
    for (let round = 0; round < 50; round++) {
      const text = String.fromCharCode(...Array.from({ length: 20 }, () => 1 + Math.floor(random() * 126)));
      expect(echoed(words('printf', '%s', text))).toBe(text);
    }
  });

  test('a plain word stays as it reads', () => {
    expect(quote('/srv/shop/releases')).toBe('/srv/shop/releases');
  });
});

test("a user's text is one argument of sh -c, whatever stands in it", () => {
  expect(echoed(userCommand('echo "$((1 + 1))" && echo done'))).toBe('2\ndone\n');
  expect(userCommand(['systemctl', 'reload', 'php8.2-fpm'])).toBe('systemctl reload php8.2-fpm');
});

test('sudo is never allowed to ask', () => {
  expect(loginCommand('id -un', 'www-data')).toBe("sudo -n -u www-data -- sh -c 'id -un'");
});

test('a script ends at its first failing line', () => {
  expect(echoed(strictCommand('echo before\nfalse\necho after', null))).toBe('before\n');
});
