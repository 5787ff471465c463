import { failure } from '../core/errors.ts';
import type { Http, HttpAnswer, HttpQuestion } from '../ports.ts';
import { answering, type SimulatedNode } from './node.ts';
import { exchange, latencyMs, type Reply, type Wire } from './wire.ts';
import { isBroken, type World } from './world.ts';

/** Nodes answer as the code that runs there: rightly, with status 500 where it is broken, or not at all. */
export const httpTwin = (wire: Wire): Http => ({
  request(question, signal) {
    const { url, timeoutMs } = question;
    const unanswered = (reason: string) => () => failure('HTTP_UNANSWERED', { url, reason });
    return exchange<HttpAnswer>(
      wire,
      {
        text: `asks ${url}`,
        signal,
        onAbort: unanswered('interrupted'),
        timeout: { ms: timeoutMs, error: unanswered(`no whole answer within ${timeoutMs} ms`) },
      },
      (reply) =>
        ask(wire.world, question, {
          ...reply,
          refuse: () => reply.fail(unanswered('connection refused'), latencyMs(wire.world)),
        }),
    );
  },
});

type Asked = Reply<HttpAnswer> & { readonly refuse: () => void };

function ask(world: World, { url, via }: HttpQuestion, reply: Asked): void {
  const { clock } = world;
  const { hostname, pathname } = partsOf(url);
  const node = [...world.nodes.values()].find((candidate) => candidate.node.address === hostname);
  if (!node) {
    reply.ok({ status: 204, body: '' }, latencyMs(world));
    return;
  }
  clock.after(latencyMs(world), () => {
    const cutOff = !node.isUp || (via !== null && clock.passedMs() < node.cutOffUntilMs);
    if (cutOff) return;
    const answer = answerOf(world, node, pathname);
    if (answer === null) reply.refuse();
    else reply.ok(answer, latencyMs(world));
  });
}

function partsOf(url: string): { readonly hostname: string; readonly pathname: string } {
  const [, hostname = '', pathname = '/'] = /^https?:\/\/([^/:]+)(?::\d+)?(\/[^?]*)?/.exec(url) ?? [];
  return { hostname, pathname };
}

function answerOf(world: World, node: SimulatedNode, path: string): HttpAnswer | null {
  const release = answering(node, world.clock.nowMs());
  if (release === null) return null;
  const isGood = !isBroken(world, node, release);
  if (isGood) node.answers.set(path, { release, atMs: world.clock.passedMs() });
  world.tell({ kind: 'answered', node, path, release, isGood });
  if (!isGood) return { status: 500, body: 'oops' };
  const revision = node.disk.releases.get(release)?.revision ?? '';
  return { status: 200, body: `release ${release}, revision ${revision}` };
}
