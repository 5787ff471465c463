import { defaultsTo, describe, integer, optional, port, text, textLike } from '../src/core/field.ts';
import { type HookContext, hookKind } from '../src/core/hook.ts';
import type { NodeName } from '../src/core/node.ts';
import { onEachNode } from './each-node.ts';

interface SmokeTestOptions {
  readonly path: string;
  readonly port: number | null;
  readonly host: string | null;
  readonly status: number;
  readonly expect: string | null;
}

/** For what must hold at other moments than `checks`, which stand between activate and enable. */
export const smokeTest = hookKind<SmokeTestOptions>({
  summary: 'Asks each node of the step once over HTTP, and fails unless it answers as expected.',
  options: {
    path: describe(
      'The path that is asked for.',
      defaultsTo(textLike("a path that begins with '/'", /^\/\S*$/), '/'),
    ),
    port: describe('The port of the web server on the node.', optional(port, '80')),
    host: describe('The Host header.', optional(text, "the node's address")),
    status: describe('The status that the answer must have.', defaultsTo(integer(100, 599), 200)),
    expect: describe(
      'Text that the answer must hold; `{{release}}` and `{{revision}}` stand for the release.',
      optional(text),
    ),
  },
  onNodes: true,
  create: (options) => (context) => onEachNode(context.nodes, (node) => ask(node, options, context)),
});

async function ask(
  node: NodeName,
  { path, port, host, status, expect }: SmokeTestOptions,
  context: HookContext,
): Promise<void> {
  const question = { path, ...(port === null ? {} : { port }), ...(host === null ? {} : { host }) };
  const answer = await context.get(node, question);
  if (answer.status !== status) {
    throw new Error(`${path} was expected to answer ${status}, it answered ${answer.status}`);
  }
  const wanted = expect === null ? '' : filled(expect, context);
  if (!answer.body.includes(wanted)) {
    throw new Error(
      `${path} was expected to show ${JSON.stringify(wanted)}, it shows ${excerpt(answer.body)}`,
    );
  }
}

const filled = (template: string, { release }: HookContext): string =>
  template.replaceAll('{{release}}', release.id).replaceAll('{{revision}}', release.revision);

const excerpt = (body: string): string => JSON.stringify(body.trim().replace(/\s+/g, ' ').slice(0, 120));
