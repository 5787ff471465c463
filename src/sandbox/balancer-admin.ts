import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { integer, mapOf, objectOf, oneOf, optional, text, type ValueOf } from '../core/field.ts';
import type { Secret } from '../core/secret.ts';

/** What the admin API shows, and what it changes. */
export interface Administered {
  /** Plain data, for `GET /servers`. */
  view(): unknown;
  names(): readonly string[];
  /** All of it, or throws. */
  change(patch: PoolPatch): void;
  pools(): readonly string[];
  flip(to: string): void;
}

/** By the name of the server; null: as it is. */
export type PoolPatch = ValueOf<typeof patchField>;

/** What a server can be told to stay. */
export const toldFields = {
  rotation: optional(oneOf(['in', 'draining', 'out'])),
  weight: optional(integer(0, 256)),
};

const patchField = mapOf(
  objectOf({ ...toldFields, webSockets: optional(integer(0, 0)) }),
  'the name of a server',
);

/**
 * The admin API. Every request has `Authorization: Bearer <token>`.
 *
 *     GET /servers     all servers: rotation, health, weight, requests in flight (WebSockets apart, too) and so far, and how they ended
 *     PATCH /servers   {"web1": {"rotation": "draining"}, "web2": {"weight": 10}}: all of it or nothing;
 *                      answers as GET does, with the state after the change
 *                      {"web1": {"webSockets": 0}}: those that are open to it are ended
 *     PATCH /pool      {"to": "green"}: all new requests to the servers of this pool; answers likewise
 */
export const adminApi =
  (token: Secret, administered: Administered): RequestListener =>
  (request, response) => {
    answer(token, administered, request).then(
      ({ status, body }) => send(response, status, body),
      (error: unknown) => send(response, 500, { error: String(error) }),
    );
  };

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const refusal = (status: number, error: string): Answer => ({ status, body: { error } });

async function answer(token: Secret, administered: Administered, request: IncomingMessage): Promise<Answer> {
  if (!isAuthorized(token, request)) return refusal(401, 'the token is missing or wrong');
  if (request.url === '/pool' && request.method === 'PATCH') return flip(administered, await bodyOf(request));
  if (request.url !== '/servers') return refusal(404, `there is no ${request.url}; try /servers`);
  if (request.method === 'GET') return { status: 200, body: administered.view() };
  if (request.method === 'PATCH') return patch(administered, await bodyOf(request));
  return refusal(405, `/servers takes GET and PATCH, not ${request.method}`);
}

/** Compares digests: they are of one length, and the time it takes tells nothing about the token. */
function isAuthorized(token: Secret, { headers }: IncomingMessage): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(headers.authorization ?? ''), digest(`Bearer ${token.reveal()}`));
}

const flipField = objectOf({ to: text });

function flip(administered: Administered, body: string): Answer {
  const read = flipField.parse(jsonIn(body), '');
  if (!read.ok) return refusal(400, read.problems.join('; '));
  if (!administered.pools().includes(read.value.to)) return refusal(404, `there is no pool ${read.value.to}`);
  administered.flip(read.value.to);
  return { status: 200, body: administered.view() };
}

function patch(administered: Administered, body: string): Answer {
  const read = patchField.parse(jsonIn(body), '');
  if (!read.ok) return refusal(400, read.problems.join('; '));
  const known = administered.names();
  const unknown = Object.keys(read.value).filter((name) => !known.includes(name));
  if (unknown.length > 0) return refusal(404, `there is no server ${unknown.join(', ')}`);
  administered.change(read.value);
  return { status: 200, body: administered.view() };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > bodyBytesMax) throw new Error(`the body is longer than ${bodyBytesMax} bytes`);
  }
  return Buffer.concat(chunks).toString();
}

const bodyBytesMax = 1_000_000;

function jsonIn(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(`${JSON.stringify(body)}\n`);
}
