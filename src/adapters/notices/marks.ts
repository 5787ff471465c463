import { defaultsTo, describe, httpUrl, listOf, secret, text } from '../../core/field.ts';
import { isoTime } from '../../core/instant.ts';
import type { Moment } from '../../core/moment.ts';
import type { Notice } from '../../core/notice.ts';
import type { Secret } from '../../core/secret.ts';
import { postedKind } from './post.ts';

/** What changed the site stands as a mark beside what was measured. */
const changes: readonly Moment[] = ['success', 'rollback', 'failure'];

const bearer = (token: Secret): Readonly<Record<string, string>> => ({
  authorization: `Bearer ${token.reveal()}`,
});

/** Source: Grafana, HTTP API, "Create annotation". Its panels show the text as HTML. */
export const grafana = postedKind<{ readonly url: string; readonly token: Secret }>({
  summary: 'Marks the time of a run in Grafana, as an annotation.',
  options: {
    url: describe('The address of Grafana.', httpUrl),
    token: describe('A token of a service account that may write annotations; a secret.', secret),
  },
  moments: changes,
  posts: (notice, { url, token }) => [
    {
      url: under(url, 'api/annotations'),
      headers: bearer(token),
      body: {
        time: notice.startedMs,
        timeEnd: notice.atMs,
        tags: ['sluice', notice.command, notice.site, notice.stage, notice.moment],
        text: notice.text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
      },
    },
  ],
});

interface NewRelicOptions {
  readonly url: string;
  readonly key: Secret;
  readonly entity: string;
}

/** Source: New Relic, "Change tracking using NerdGraph", changeTrackingCreateDeployment. Its errors have the status 200. */
export const newRelic = postedKind<NewRelicOptions>({
  summary: 'Marks a release in New Relic, as a change of an entity.',
  options: {
    url: describe(
      'The address of NerdGraph; https://api.eu.newrelic.com/graphql in the EU.',
      defaultsTo(httpUrl, 'https://api.newrelic.com/graphql'),
    ),
    key: describe('A user key; a secret.', secret),
    entity: describe('The GUID of the entity.', text),
  },
  moments: changes,
  posts: (notice, { url, key, entity }) => [
    {
      url,
      headers: { 'api-key': key.reveal() },
      body: {
        query:
          'mutation ($deployment: ChangeTrackingDeploymentInput!) { changeTrackingCreateDeployment(deployment: $deployment) { deploymentId } }',
        variables: {
          deployment: {
            entityGuid: entity,
            version: notice.release.id,
            ...(notice.release.revision === '' ? {} : { commit: notice.release.revision }),
            user: notice.operator,
            description: notice.text,
            timestamp: notice.atMs,
          },
        },
      },
    },
  ],
  refusal(body) {
    const [first] = /"errors"\s*:\s*\[\s*[^\]\s]/.exec(body) ?? [];
    return first === undefined ? null : 'it answered with errors';
  },
});

interface SentryOptions {
  readonly url: string;
  readonly token: Secret;
  readonly organization: string;
  readonly projects: readonly string[];
}

/** Source: Sentry, Web API, "Create a New Release for an Organization" and "Create a Deploy". Both may be sent twice. */
export const sentry = postedKind<SentryOptions>({
  summary: 'Tells Sentry of a release that is live, and of its deploy to the stage.',
  options: {
    url: describe('The address of Sentry.', defaultsTo(httpUrl, 'https://sentry.io')),
    token: describe('An auth token with project:releases; a secret.', secret),
    organization: describe('The slug of the organization.', text),
    projects: describe('The slugs of its projects that the site is.', listOf(text, 1)),
  },
  moments: ['success'],
  posts(notice, { url, token, organization, projects }) {
    const version = versionOf(notice);
    const releases = `api/0/organizations/${encodeURIComponent(organization)}/releases/`;
    const headers = bearer(token);
    const [dateStarted, dateFinished] = [notice.startedMs, notice.atMs].map(isoTime);
    return [
      { url: under(url, releases), headers, body: { version, projects, dateReleased: dateFinished } },
      {
        url: under(url, `${releases}${encodeURIComponent(version)}/deploys/`),
        headers,
        body: { environment: notice.stage, name: notice.release.id, dateStarted, dateFinished },
      },
    ];
  },
});

/** What an application tells Sentry that it is: its commit, unless another tool made the release. */
const versionOf = ({ release }: Notice): string => release.revision || release.id;

const under = (base: string, path: string): string => `${base.replace(/\/*$/, '')}/${path}`;
