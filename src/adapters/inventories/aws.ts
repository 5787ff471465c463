import { failure } from '../../core/errors.ts';
import type { AwsAccess } from '../aws/access.ts';
import { type Asker, type AwsPackage, awsApi } from '../aws/api.ts';

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
  const refuse = (reason: string) => failure('NODES_UNLISTED', { list, reason });
  const asker: Asker = {
    name: list,
    unreachable: (address, reason) => refuse(`${request}: ${reason} (${address})`),
    refused: (_, answer) => refuse(`${request}: ${answer} (${api.address})`),
  };
  const api = awsApi(asker, access, sdk);
  try {
    return await api.ask(request, call, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    throw failure('NODES_UNLISTED', { list, reason: `${request} was not answered in time` }, error);
  } finally {
    api.close();
  }
}
