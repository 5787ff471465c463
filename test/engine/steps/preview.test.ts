import { expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { newRun } from '../../../src/engine/run.ts';
import { preview } from '../../../src/engine/steps/preview.ts';
import type { HttpQuestion } from '../../../src/ports.ts';
import { check, fleet, release } from '../../core/fleet.ts';
import { benchSite } from '../bench-site.ts';

const step = { kind: 'preview', nodes: ['web1'], release: release(2) } as const;

/** A run on a site with two balancers, whose preview shows what `shows` says. */
function previewing(shows: (question: HttpQuestion) => string) {
  const bench = benchSite(1, {
    preview: { urls: ['http://lb1', 'https://lb2:8443'], headers: { 'X-Preview': new Secret('s3cret') } },
    checks: [check({ path: '/up?a=1', host: 'www.example.org', timeoutMs: 300, intervalMs: 50 })],
  });
  const questions: HttpQuestion[] = [];
  const request = async (question: HttpQuestion) => {
    questions.push(question);
    return { status: 200, body: shows(question) };
  };
  const run = newRun({
    id: '1',
    site: bench.site,
    ports: { ...bench.ports, http: { request } },
    voters: [],
    release: release(2),
    signal: new AbortController().signal,
    observed: fleet(1),
  });
  return { run, questions, bench };
}

test('each check is asked at each address, with its Host header and those of the preview', async () => {
  const { run, questions } = previewing(() => `release ${release(2).id}`);
  expect(await preview.execute(step, run)).toEqual([]);
  const headers = { host: 'www.example.org', 'X-Preview': 's3cret' };
  expect(questions).toMatchObject([
    { method: 'GET', url: 'http://lb1/up?a=1', headers, via: null },
    { method: 'GET', url: 'https://lb2:8443/up?a=1', headers, via: null },
  ]);
});

test('one balancer that goes on showing another release fails it, and no secret is told', async () => {
  const { run, bench } = previewing(({ url }) => `release ${release(url.includes('lb1') ? 2 : 1).id}`);
  const [failed] = await preview.execute(step, run);
  expect(failed).toMatchObject({ node: null, error: { code: 'PREVIEW_FAILED' } });
  expect(failed?.error.message).toMatch(
    /https:\/\/lb2:8443\/up\?a=1 did not answer 200 with .* within 300 ms/,
  );
  expect(`${failed?.error.message}${preview.describe(step, run.ports, bench.site)}`).not.toContain('s3cret');
});

test('an answer that comes right in time is enough', async () => {
  let asked = 0;
  const { run } = previewing(() => (asked++ < 4 ? 'release of yesterday' : `release ${release(2).id}`));
  expect(await preview.execute(step, run)).toEqual([]);
});
