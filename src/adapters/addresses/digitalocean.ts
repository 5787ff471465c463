import { messageOf } from '../../core/errors.ts';
import {
  describe,
  type Field,
  integer,
  isPlainObject,
  mapOf,
  period,
  scalar,
  secret,
  withDefault,
} from '../../core/field.ts';
import type { Secret } from '../../core/secret.ts';
import { cloudAddress } from './cloud.ts';
import { ipField } from './ip.ts';
import { type AddressKind, addressKind } from './kind.ts';

interface DigitaloceanOptions {
  readonly ip: string;
  readonly droplets: Readonly<Record<string, number>>;
  readonly token: Secret;
  readonly api: string;
  readonly timeout: number;
}

/** A reserved IP address of DigitalOcean (API v2, `/v2/reserved_ips`): the droplet that it is assigned to holds it. */
export const digitalocean: AddressKind = addressKind<DigitaloceanOptions>({
  summary: 'A reserved IP address of DigitalOcean: the droplet that it is assigned to holds it.',
  options: {
    ip: ipField,
    droplets: describe(
      'The id of the droplet that each machine is.',
      mapOf(integer(1, Number.MAX_SAFE_INTEGER), 'the name of a machine'),
    ),
    token: describe('A token of the API that may read and update reserved IPs.', secret),
    api: describe('Where the API is.', withDefault(apiUrl(), defaultApi(), defaultApi())),
    timeout: describe('How long a move may take.', withDefault(period, 60_000, '60s')),
  },
  create({ name, options, machines }) {
    const { ip, droplets, timeout } = options;
    const names = Object.keys(machines);
    return cloudAddress({
      name,
      ip,
      machines: names,
      moveTimeoutMs: timeout,
      async held(signal) {
        const id = dropletIn(await ask(options, { method: 'GET', path: '' }, signal));
        return names.filter((one) => droplets[one] === id);
      },
      // The action goes on by itself: where the address is shows how it ended.
      async assign(to, signal) {
        const body = { type: 'assign', droplet_id: idOf(droplets, to) };
        await ask(options, { method: 'POST', path: '/actions', body }, signal);
      },
    });
  },
});

function defaultApi(): string {
  return 'https://api.digitalocean.com';
}

function apiUrl(): Field<string> {
  return scalar('an http:// or https:// URL', { type: 'string', pattern: '^https?://' }, (value) =>
    typeof value === 'string' && /^https?:/.test(value) && URL.canParse(value)
      ? value.replace(/\/$/, '')
      : undefined,
  );
}

function idOf(droplets: DigitaloceanOptions['droplets'], machine: string): number {
  const id = droplets[machine];
  if (id === undefined) throw new Error(`droplets does not name ${machine}`);
  return id;
}

interface Question {
  readonly method: 'GET' | 'POST';
  /** Below the reserved IP. */
  readonly path: '' | '/actions';
  readonly body?: unknown;
}

/** The whole answer. No failure holds the request, and with it the token. */
async function ask(
  { api, ip, token }: DigitaloceanOptions,
  { method, path, body }: Question,
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const { got } = await import('got');
  const answer = await got(`${api}/v2/reserved_ips/${ip}${path}`, {
    method,
    headers: { authorization: `Bearer ${token.reveal()}` },
    ...(body === undefined ? {} : { json: body }),
    ...(signal ? { signal } : {}),
    timeout: { request: 10_000 },
    retry: { limit: 0 },
    throwHttpErrors: false,
    followRedirect: false,
  }).catch((error: unknown) => {
    throw new Error(messageOf(error));
  });
  const { statusCode, body: text } = answer;
  if (statusCode >= 200 && statusCode < 300) return JSON.parse(text);
  throw new Error(`the API answered ${statusCode} ${text.trim().slice(0, 200)}`);
}

/** The droplet that the address is assigned to; null: none. Throws if the answer is not that of the API. */
function dropletIn(answer: unknown): number | null {
  const found = isPlainObject(answer) ? answer.reserved_ip : undefined;
  const droplet = isPlainObject(found) ? found.droplet : undefined;
  if (droplet === null) return null;
  if (isPlainObject(droplet) && typeof droplet.id === 'number') return droplet.id;
  throw new Error('its answer does not say which droplet has the address');
}
