import { failure, messageOf } from '../../core/errors.ts';
import type { BalancerName } from '../../core/site.ts';

/** The JSON API of a hosted balancer. */
export interface HostedHttp {
  /**
   * The answer, whatever its status. Asks again for a time where the API says that it is asked too much (as long as it says in
   * `Retry-After`), where it fails, and where nothing answers; so questions must be such that may be asked twice. Rejects
   * with `BALANCER_UNREACHABLE` if that did not help.
   */
  ask(question: HostedQuestion, signal?: AbortSignal): Promise<HostedAnswer>;
}

export interface HostedQuestion {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** Whole. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
}

export interface HostedAnswer {
  readonly status: number;
  readonly text: string;
}

/** The cause of a failure is left out: got's errors hold the request, and with it the token. */
export const hostedHttp = (balancer: BalancerName, timeoutMs: number): HostedHttp => ({
  async ask({ method, url, headers = {}, json }, signal) {
    const { got } = await import('got');
    const unreachable = (reason: string) =>
      failure('BALANCER_UNREACHABLE', { balancer, address: new URL(url).host, reason });
    const { statusCode, body } = await got(url, {
      method,
      headers,
      ...(json === undefined ? {} : { json }),
      ...(signal ? { signal } : {}),
      timeout: { request: timeoutMs },
      retry: {
        limit: 3,
        methods: ['GET', 'PUT', 'POST'],
        statusCodes: [...passing],
        maxRetryAfter: 30_000,
        backoffLimit: 500,
      },
      throwHttpErrors: false,
      followRedirect: false,
    }).catch((error: unknown) => {
      signal?.throwIfAborted();
      throw unreachable(messageOf(error));
    });
    if (passing.has(statusCode))
      throw unreachable(`it answered ${shownAnswer({ status: statusCode, text: body })}`);
    return { status: statusCode, text: body };
  },
});

/** Too much was asked (413 is what older APIs say to that), or something behind the API is down. */
const passing: ReadonlySet<number> = new Set([413, 429, 500, 502, 503, 504]);

/** For errors: short, and on one line. */
export const shownAnswer = ({ status, text }: HostedAnswer): string =>
  `${status} ${text.trim().replace(/\s+/g, ' ').slice(0, 200)}`;
