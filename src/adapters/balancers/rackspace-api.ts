import { setTimeout as sleep } from 'node:timers/promises';
import { failure } from '../../core/errors.ts';
import { text } from '../../core/field.ts';
import type { Secret } from '../../core/secret.ts';
import type { BalancerName } from '../../core/site.ts';
import { type HostedAnswer, type HostedQuestion, hostedHttp, shownAnswer } from './hosted-http.ts';
import { jsonIn, someOf } from './json.ts';

/** The API of Rackspace Cloud Load Balancers (v1.0), asked with a token that is fetched first, and anew once it has run out. */
export interface RackspaceApi {
  /**
   * What is answered, as JSON. While a load balancer is still being changed nothing else of it can be changed: then it is tried
   * again for half a minute. Rejects with `BALANCER_UNREACHABLE` if that was not enough, and with `BALANCER_REFUSED`.
   */
  ask(question: RackspaceQuestion, signal?: AbortSignal): Promise<unknown>;
}

export interface RackspaceQuestion extends Pick<HostedQuestion, 'json'> {
  readonly method: 'GET' | 'PUT';
  /** Below the account: `/loadbalancers/1`. */
  readonly path: string;
}

export interface RackspaceAccess {
  readonly url: string;
  readonly identity: string;
  readonly username: string;
  readonly apiKey: Secret;
  readonly timeout: number;
}

export function rackspaceApi(balancer: BalancerName, access: RackspaceAccess): RackspaceApi {
  const { url, timeout } = access;
  const http = hostedHttp(balancer, timeout);
  let token: Promise<string> | null = null;
  const tokenNow = (): Promise<string> => {
    token ??= fetchToken(balancer, access).catch((error: unknown) => {
      token = null;
      throw error;
    });
    return token;
  };
  const asked = async ({ path, ...rest }: RackspaceQuestion, signal?: AbortSignal): Promise<HostedAnswer> => {
    for (let attempt = 1; ; attempt++) {
      const used = tokenNow();
      const headers = { 'x-auth-token': await used, accept: 'application/json' };
      const answer = await http.ask({ ...rest, url: url + path, headers }, signal);
      if (answer.status !== 401 || attempt === 2) return answer;
      // Another question may have fetched a new one already.
      if (token === used) token = null;
    }
  };
  return {
    async ask(question, signal) {
      const request = `${question.method} ${question.path}`;
      for (let attempt = 1; ; attempt++) {
        const answer = await asked(question, signal);
        if (answer.status === 200 || answer.status === 202) return jsonIn(answer.text);
        if (!isBusy(answer))
          throw failure('BALANCER_REFUSED', { balancer, request, answer: shownAnswer(answer) });
        if (attempt === busyLooksMax)
          throw failure('BALANCER_UNREACHABLE', { balancer, address: url, reason: shownAnswer(answer) });
        await pause(signal);
      }
    },
  };
}

/** So many looks, with a pause after each, take half a minute. */
export const busyLooksMax = 120;

export const pause = (signal?: AbortSignal): Promise<void> =>
  sleep(250, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());

/** A deleted or broken load balancer is immutable too, and for good. */
const isBusy = ({ status, text: body }: HostedAnswer): boolean =>
  status === 422 && /PENDING_UPDATE|BUILD/.test(body);

const tokenField = someOf({ access: someOf({ token: someOf({ id: text }) }) });

async function fetchToken(
  balancer: BalancerName,
  { identity, username, apiKey, timeout }: RackspaceAccess,
): Promise<string> {
  const url = `${identity}/tokens`;
  const answer = await hostedHttp(balancer, timeout).ask({
    method: 'POST',
    url,
    json: { auth: { 'RAX-KSKEY:apiKeyCredentials': { username, apiKey: apiKey.reveal() } } },
  });
  const read = tokenField.parse(jsonIn(answer.text), '');
  if (answer.status === 200 && read.ok) return read.value.access.token.id;
  throw failure('BALANCER_REFUSED', {
    balancer,
    request: `POST ${url}`,
    // A good answer holds the token.
    answer: answer.status === 200 ? 'it holds no token' : shownAnswer(answer),
  });
}
