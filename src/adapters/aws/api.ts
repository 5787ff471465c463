import { failure, messageOf } from '../../core/errors.ts';
import type { BalancerName } from '../../core/site.ts';
import type { AwsAccess } from './access.ts';
import { quieten } from './quiet.ts';

/** An API of AWS, through AWS's own SDK: loaded, and connected to, at the first question. */
export interface AwsApi<Client> {
  /** Where it is, for people. */
  readonly address: string;
  /**
   * Asks; `request` says what, for errors. The SDK tries again what was throttled, was not answered or failed at AWS, and slows
   * down by itself. Rejects with the asker's `unreachable` if that did not help; with what `explain` makes of the name of
   * a refusal, else with its `refused`; with `PACKAGE_MISSING`.
   */
  ask<T>(
    request: string,
    call: (client: Client, options: { readonly abortSignal?: AbortSignal }) => Promise<T>,
    signal?: AbortSignal,
    explain?: (refusal: string) => Error | null,
  ): Promise<T>;
  close(): void;
}

export function awsApi<Client extends { destroy(): void }>(
  asker: Asker,
  access: AwsAccess,
  { name, load }: AwsPackage<Client>,
): AwsApi<Client> {
  const address = access.endpoint ?? `AWS${access.region === null ? '' : ` ${access.region}`}`;
  let loading: Promise<Client> | null = null;
  let client: Client | null = null;
  const loaded = async (): Promise<Client> => {
    quieten();
    loading ??= load(settingsOf(access)).catch((error: unknown) => {
      throw isMissing(error) ? failure('PACKAGE_MISSING', { user: asker.name, name }) : error;
    });
    client = await loading;
    return client;
  };
  return {
    address,
    async ask(request, call, signal, explain) {
      const ready = await loaded();
      signal?.throwIfAborted();
      return call(ready, signal ? { abortSignal: signal } : {}).catch((error: unknown) => {
        signal?.throwIfAborted();
        const refusal = refusalOf(error);
        if (refusal === null) throw asker.unreachable(address, reasonOf(error));
        throw explain?.(refusal.name) ?? asker.refused(request, `${refusal.name}: ${refusal.message}`);
      });
    },
    close: () => client?.destroy(),
  };
}

/** Whose questions they are, and how it fails where they do. */
export interface Asker {
  /** Such as `balancer front`. */
  readonly name: string;
  unreachable(address: string, reason: string): Error;
  refused(request: string, answer: string): Error;
}

/** Fails with `BALANCER_UNREACHABLE` and `BALANCER_REFUSED`. */
export const balancerAsker = (balancer: BalancerName): Asker => ({
  name: `balancer ${balancer}`,
  unreachable: (address, reason) => failure('BALANCER_UNREACHABLE', { balancer, address, reason }),
  refused: (request, answer) => failure('BALANCER_REFUSED', { balancer, request, answer }),
});

export interface AwsPackage<Client> {
  readonly name: string;
  load(settings: ReturnType<typeof settingsOf>): Promise<Client>;
}

const settingsOf = ({ region, profile, endpoint, credentials, timeout }: AwsAccess) => ({
  ...(region === null ? {} : { region }),
  ...(profile === null ? {} : { profile }),
  ...(endpoint === null ? {} : { endpoint }),
  ...(credentials === null
    ? {}
    : {
        credentials: async () => ({
          accessKeyId: credentials.accessKeyId,
          secretAccessKey: credentials.secretAccessKey.reveal(),
          ...(credentials.sessionToken ? { sessionToken: credentials.sessionToken.reveal() } : {}),
        }),
      }),
  retryMode: 'adaptive',
  maxAttempts: 4,
  requestHandler: { connectionTimeout: timeout, requestTimeout: timeout, throwOnRequestTimeout: true },
});

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';

/** What AWS or the SDK said no to for good; null if it may be otherwise in a moment. */
function refusalOf(error: unknown): { readonly name: string; readonly message: string } | null {
  if (!(error instanceof Error)) return null;
  const name = error.name.replace(/Exception$/, '');
  const { $metadata } = error as { readonly $metadata?: { readonly httpStatusCode?: number } };
  const status = $metadata?.httpStatusCode ?? 0;
  const isAnswered = status >= 400 && status < 500 && status !== 429 && !passing.has(name);
  return isAnswered || unready.test(messageOf(error)) || unreadyNames.has(name)
    ? { name, message: messageOf(error) }
    : null;
}

/** Too many requests, by the names that the Query protocol has for it; and a change of before that is still being made. */
const passing: ReadonlySet<string> = new Set([
  'Throttling',
  'ThrottledException',
  'Throttled',
  'RequestLimitExceeded',
  'RequestThrottled',
  'TooManyRequests',
  'PriorRequestNotComplete',
]);

/** The SDK asked nobody: it has no credentials, or no region. */
const unreadyNames: ReadonlySet<string> = new Set(['CredentialsProviderError', 'TokenProviderError']);
const unready = /^(Region is missing|Could not (load|resolve) credentials)/;

/** Node.js says nothing in the message if several addresses failed. */
const reasonOf = (error: unknown): string =>
  messageOf(error) || (error instanceof Error && 'code' in error ? String(error.code) : 'no answer');
