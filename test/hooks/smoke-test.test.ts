import { describe, expect, test } from 'vitest';
import { smokeTest } from '../../hooks/smoke-test.ts';
import { parseFields } from '../../src/core/field.ts';
import type { HookContext } from '../../src/core/hook.ts';
import { contextWith } from './context.ts';

const run = async (options: Record<string, unknown>, parts: Partial<HookContext>) => {
  const parsed = parseFields(smokeTest.options, options);
  if (!parsed.ok) throw new Error(parsed.problems.join('\n'));
  return smokeTest.create(parsed.value)(contextWith(parts));
};

describe('smoke-test', () => {
  test('asks each node for the path, with the host and port that are set', async () => {
    const asked: unknown[] = [];
    const get: HookContext['get'] = async (node, question) => {
      asked.push([node, question]);
      return { status: 204, body: '' };
    };
    await run({ path: '/up', host: 'www.example.org', port: 8080, status: 204 }, { get });
    expect(asked).toEqual([
      ['web1', { path: '/up', host: 'www.example.org', port: 8080 }],
      ['web2', { path: '/up', host: 'www.example.org', port: 8080 }],
    ]);
  });

  test('names every node that answers wrongly, with what it answered', async () => {
    const get: HookContext['get'] = async (node) => ({ status: node === 'web1' ? 503 : 500, body: '' });
    await expect(run({}, { get })).rejects.toThrow(
      '2 nodes failed:\n' +
        '  web1: / was expected to answer 200, it answered 503\n' +
        '  web2: / was expected to answer 200, it answered 500',
    );
  });

  test('expects the text with the release and the revision filled in', async () => {
    const parts = { nodes: ['web1'], get: async () => ({ status: 200, body: 'release 20260114093000' }) };
    await run({ expect: 'release {{release}}' }, parts);
    await expect(run({ expect: 'at {{revision}}' }, parts)).rejects.toThrow(
      `web1: / was expected to show "at 3f2a9c1${'0'.repeat(33)}", it shows "release 20260114093000"`,
    );
  });
});
