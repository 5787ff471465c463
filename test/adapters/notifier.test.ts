import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import type { Event } from '../../src/core/event.ts';
import { failedRun, goodRun } from '../reporters/example-run.ts';
import { told } from './told.ts';

interface Taken {
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A receiver on loopback; a status of null never answers. */
async function receiver(status: number | null = 200, answer = '{}') {
  const taken: Taken[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    taken.push({ path: request.url!, headers: request.headers, body });
    if (status !== null) response.writeHead(status).end(answer);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { taken, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const jsonOf = ({ taken }: { readonly taken: readonly Taken[] }): readonly unknown[] =>
  taken.map(({ body }) => JSON.parse(body));

test('chats are told in a form that is no markup', async () => {
  const channel = await receiver();
  const kinds = ['slack', 'mattermost', 'teams'];
  const nasty: readonly Event[] = failedRun.map((event) =>
    event.type === 'run-ended'
      ? { ...event, report: { ...event.report, warnings: ['<!channel> @all ``` [a](b)'] } }
      : event,
  );
  expect(
    await told(
      kinds.map((to) => ({ to, url: `${channel.url}/${to}`, on: ['rollback'] })),
      { events: nasty },
    ),
  ).toEqual([]);
  const byKind = Object.fromEntries(channel.taken.map(({ path, body }) => [path.slice(1), JSON.parse(body)]));
  expect(byKind.slack.text).toMatch(
    /^shop\/production: deploy of 3f2a9c1 as 20260114093000: rolled back, by ada@laptop\n/,
  );
  expect(byKind.slack.text).toContain('&lt;!channel&gt; @all');
  expect(byKind.mattermost.text).toMatch(/^```\nshop[\s\S]*<!channel> @all ''' \[a\]\(b\)\n```$/);
  const { content } = byKind.teams.attachments[0];
  expect(content.type).toBe('AdaptiveCard');
  expect(content.body.at(-1)).toEqual({
    type: 'RichTextBlock',
    inlines: [{ type: 'TextRun', text: '<!channel> @all ``` [a](b)', weight: 'Default' }],
  });
});

test('a webhook gets start and end in order, and its key signs time and body', async () => {
  const hook = await receiver();
  expect(await told([{ to: 'webhook', url: hook.url, key: 'sesame' }])).toEqual([]);
  expect(jsonOf(hook)).toMatchObject([{ moment: 'start' }, { moment: 'success', evidence: [] }]);
  for (const { headers, body } of hook.taken) {
    const signed = `${headers['x-sluice-timestamp']}.${body}`;
    const signature = createHmac('sha256', 'sesame').update(signed).digest('hex');
    expect(headers['x-sluice-signature']).toBe(`sha256=${signature}`);
    expect(body).not.toContain('sesame');
  }
});

test('Grafana gets an annotation of the time that the run took', async () => {
  const grafana = await receiver();
  expect(await told([{ to: 'grafana', url: `${grafana.url}/sub/`, token: 't0ken' }])).toEqual([]);
  expect(grafana.taken[0]).toMatchObject({
    path: '/sub/api/annotations',
    headers: { authorization: 'Bearer t0ken' },
  });
  expect(jsonOf(grafana)).toEqual([
    {
      time: goodRun[0]!.atMs,
      timeEnd: goodRun.at(-1)!.atMs,
      tags: ['sluice', 'deploy', 'shop', 'production', 'success'],
      text: 'shop/production: deploy of 3f2a9c1 as 20260114093000: done, by ada@laptop',
    },
  ]);
});

test('New Relic gets a change of the entity; errors in its answer count', async () => {
  const notice = { to: 'new-relic', key: 'k', entity: 'GUID' };
  const good = await receiver(200, '{"data":{},"errors":[]}');
  expect(await told([{ ...notice, url: good.url }])).toEqual([]);
  expect(good.taken[0]?.headers['api-key']).toBe('k');
  expect(jsonOf(good)[0]).toMatchObject({
    variables: { deployment: { entityGuid: 'GUID', version: '20260114093000', user: 'ada@laptop' } },
  });
  const bad = await receiver(200, '{"errors": [{"message": "no such entity"}]}');
  expect(await told([{ ...notice, url: bad.url }])).toEqual([
    'The notice to new-relic was not taken: it answered with errors.',
  ]);
});

test('Sentry gets the release, then its deploy, and nothing of a run that went back', async () => {
  const sentry = await receiver(201);
  const notice = { to: 'sentry', url: sentry.url, token: 't', organization: 'acme', projects: ['shop'] };
  expect(await told([notice], { events: failedRun })).toEqual([]);
  expect(sentry.taken).toEqual([]);
  expect(await told([notice])).toEqual([]);
  const [release, deploy] = jsonOf(sentry) as readonly [Readonly<Record<string, string>>, unknown];
  expect(release).toMatchObject({
    projects: ['shop'],
    version: expect.stringMatching(/^3f2a9c1[0-9a-f]{33}$/),
  });
  expect(sentry.taken.map(({ path }) => path)).toEqual([
    '/api/0/organizations/acme/releases/',
    `/api/0/organizations/acme/releases/${release.version}/deploys/`,
  ]);
  expect(deploy).toMatchObject({ environment: 'production', name: '20260114093000' });
});

test('a receiver that refuses, does not answer in time, or is not there is a warning without its address', async () => {
  const refusing = await receiver(404);
  const silent = await receiver(null);
  const on = ['success'];
  const warnings = await told([
    { to: 'slack', url: `${refusing.url}/services/T0/secret`, on },
    { to: 'webhook', url: `${silent.url}/secret`, on, timeout: '200ms' },
    { to: 'teams', url: 'http://127.0.0.1:9/secret', on },
  ]);
  expect(warnings).toHaveLength(3);
  expect(warnings).toContain('The notice to slack was not taken: it answered with status 404.');
  expect(warnings).toContain('The notice to webhook was not taken: no whole answer within 200 ms.');
  expect(warnings.join()).toMatch(/notice to teams was not taken: .*ECONNREFUSED/);
  expect(warnings.join()).not.toContain('secret');
});
