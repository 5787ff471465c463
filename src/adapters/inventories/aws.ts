import { failure, isDeployError } from '../../core/errors.ts';
import { type AwsPackage, awsApi } from '../balancers/aws-api.ts';
import type { AwsAccess } from '../balancers/aws-options.ts';

/** A list that AWS is asked for, until the signal says that the time is up. */
export interface AwsList {
  /** For people. */
  readonly list: string;
  readonly access: AwsAccess;
  readonly signal: AbortSignal;
}

/**
 * Asks one API of AWS, through AWS's own SDK: `call` may ask several times, and has the signal. Rejects with `NODES_UNLISTED` or
 * `PACKAGE_MISSING`.
 */
export async function askAws<Client extends { destroy(): void }, T>(
  { list, access, signal }: AwsList,
  sdk: AwsPackage<Client>,
  request: string,
  call: (client: Client, options: { readonly abortSignal?: AbortSignal }) => Promise<T>,
): Promise<T> {
  const api = awsApi(list, access, sdk);
  const refuse = (reason: string, cause: unknown) => failure('NODES_UNLISTED', { list, reason }, cause);
  try {
    return await api.ask(request, call, signal);
  } catch (error) {
    if (signal.aborted) throw refuse(`${request} was not answered in time`, error);
    if (isDeployError(error, 'PACKAGE_MISSING'))
      throw failure('PACKAGE_MISSING', { user: list, name: sdk.name });
    if (!isDeployError(error)) throw error;
    // Of a balancer they are said in other words, and with a name that this list has not.
    const { reason, answer } = error.details;
    throw refuse(`${request}: ${answer ?? reason} (${api.address})`, error);
  } finally {
    api.close();
  }
}
