import { failure } from '../../core/errors.ts';
import { Secret } from '../../core/secret.ts';
import type { Check, Site } from '../../core/site.ts';
import type { StepOf } from '../../core/step.ts';
import { eachNode, type Run, stepFailed } from '../run.ts';
import { askUntil, expectation, type Place } from './check.ts';
import type { StepHandler } from './handler.ts';

type Preview = StepOf<'preview'>;

export const preview: StepHandler<'preview'> = {
  describe: ({ release }, _ports, site) =>
    questionsOf(site).map(
      ({ place, one }) => `${place.url} answers ${expectation(one, release)} within ${one.timeoutMs} ms`,
    ),
  async execute(step, run) {
    const results = await Promise.allSettled(
      questionsOf(run.site).map((question) => show(step, run, question)),
    );
    const failed = results.find((result) => result.status === 'rejected');
    return failed ? stepFailed(run, failed.reason) : eachNode(run, step, async () => null);
  },
};

interface Question {
  readonly place: Place;
  readonly one: Check;
}

/** Each check at each address: one answer shows that the balancer sends such requests to the right pool. */
const questionsOf = ({ preview: settings, checks }: Site): readonly Question[] =>
  (settings?.urls ?? []).flatMap((url) =>
    checks.map((one) => ({
      one,
      place: {
        url: `${url}${one.path}`,
        via: null,
        headers: { ...(one.host === null ? {} : { host: one.host }), ...revealed(settings!.headers) },
      },
    })),
  );

const revealed = (headers: Readonly<Record<string, string | Secret>>): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, value instanceof Secret ? value.reveal() : value]),
  );

async function show({ release }: Preview, run: Run, { place, one }: Question): Promise<void> {
  const refused = await askUntil(run, place, one, release);
  if (refused === null) return;
  throw failure('PREVIEW_FAILED', {
    url: place.url,
    expected: expectation(one, release),
    answer: refused.verdict.answer,
    withinMs: one.timeoutMs,
  });
}
