import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

/** A value as the Query protocol of AWS writes it: `Targets.member.1.Id=i-1` in a question, nested elements in an answer. */
export type Value = string | number | boolean | readonly Value[] | Fields | undefined;
export interface Fields {
  readonly [name: string]: Value;
}

/** The parameters of a question, nested as they were before they were written. */
export function parametersOf(body: string): Record<string, never> {
  const root: Record<string, unknown> = {};
  for (const [key, value] of new URLSearchParams(body)) {
    const path = key.split('.');
    let at = root;
    for (const part of path.slice(0, -1)) {
      at[part] ??= {};
      at = at[part] as Record<string, unknown>;
    }
    at[path.at(-1)!] = value;
  }
  return listed(root) as Record<string, never>;
}

/** An object of members is a list. */
function listed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { member } = value as { readonly member?: object };
  if (member !== undefined) return Object.values(member).map(listed);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, listed(inner)]));
}

export const answerXml = (action: string, result: Fields): string =>
  `<${action}Response xmlns="http://elasticloadbalancing.amazonaws.com/doc/"><${action}Result>${xml(result)}</${action}Result>` +
  `<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></${action}Response>`;

export const errorXml = (code: string, message: string): string =>
  `<ErrorResponse><Error>${xml({ Type: 'Sender', Code: code, Message: message })}</Error><RequestId>1</RequestId></ErrorResponse>`;

function xml(value: Value): string {
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.map((item: Value) => `<member>${xml(item)}</member>`).join('');
  if (typeof value !== 'object') return String(value).replace(/[<&]/g, (c) => (c === '<' ? '&lt;' : '&amp;'));
  return Object.entries(value as Fields)
    .filter(([, inner]) => inner !== undefined)
    .map(([name, inner]) => `<${name}>${xml(inner)}</${name}>`)
    .join('');
}

/** Who asks, if it is signed with that one's key (Signature Version 4); else why it is refused. */
export function signerOf(
  { method = '', url = '', headers }: IncomingMessage,
  body: string,
  keys: Readonly<Record<string, string>>,
): { readonly key: string } | { readonly refusal: string } {
  const [, key = '', scope = '', signed = '', signature = ''] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/([^,]+), SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
      headers.authorization ?? '',
    ) ?? [];
  const secret = keys[key];
  if (secret === undefined)
    return { refusal: key === '' ? 'MissingAuthenticationToken' : 'InvalidClientTokenId' };
  const names = signed.split(';');
  const canonical = [
    method,
    url,
    '',
    ...names.map((name) => `${name}:${String(headers[name]).trim()}`),
    '',
    signed,
    sha256(body),
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', headers['x-amz-date'], scope, sha256(canonical)].join('\n');
  const signingKey = scope
    .split('/')
    .reduce<Buffer>((hmacKey, part) => hmac(hmacKey, part), Buffer.from(`AWS4${secret}`));
  return hmac(signingKey, text).toString('hex') === signature
    ? { key }
    : { refusal: 'SignatureDoesNotMatch' };
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');
const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();
