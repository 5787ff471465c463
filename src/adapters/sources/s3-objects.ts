import type { S3 } from '@aws-sdk/client-s3';
import { failure, messageOf } from '../../core/errors.ts';
import type { S3Settings } from '../../core/site.ts';
import { quieten } from '../aws/quiet.ts';

/** The objects of a bucket whose keys begin with a prefix; keys here are without it. */
export interface S3Objects {
  /** For people. */
  readonly address: string;
  /** All that begin so, in the order of their keys. */
  list(start: string): Promise<readonly S3Object[]>;
  /** Rejects with `SOURCE_UNREACHABLE`; null: there is none. */
  get(key: string): Promise<AsyncIterable<Uint8Array> | null>;
  /** Never in the place of another: one that is there stays. */
  put(key: string, content: Uint8Array): Promise<void>;
  /** Makes it as young as one that is put now. */
  renew(key: string): Promise<void>;
  remove(keys: readonly string[]): Promise<void>;
  /** URLs by which whoever has them can get these objects for an hour. */
  sign(keys: readonly string[]): Promise<readonly string[]>;
}

export interface S3Object {
  readonly key: string;
  readonly atMs: number;
}

/** Through AWS's own SDK, which is loaded, and connects, at the first question. It tries again what may go better. */
export function s3Objects({ bucket: Bucket, prefix, region, profile, endpoint }: S3Settings): S3Objects {
  const address = `s3://${Bucket}/${prefix}`;
  const settings = {
    ...(region === null ? {} : { region }),
    ...(profile === null ? {} : { profile }),
    // Other than AWS, most know buckets by path alone.
    ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
    maxAttempts: 5,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: { connectionTimeout: 10_000, requestTimeout: 60_000, throwOnRequestTimeout: true },
  } as const;
  let loading: Promise<S3> | null = null;
  const client = (): Promise<S3> => {
    quieten();
    loading ??= needed(clientPackage, import('@aws-sdk/client-s3')).then((sdk) => new sdk.S3(settings));
    return loading;
  };
  const ask = async <T>(question: (s3: S3) => Promise<T>): Promise<T> => {
    const s3 = await client();
    return question(s3).catch((error: unknown) => {
      throw failure('SOURCE_UNREACHABLE', { url: address, reason: reasonOf(error) });
    });
  };
  const Key = (key: string): string => `${prefix}${key}`;

  return {
    address,
    list: (start) =>
      ask(async (s3) => {
        const found: S3Object[] = [];
        for (let ContinuationToken: string | undefined; ; ) {
          const page = await s3.listObjectsV2({
            Bucket,
            Prefix: Key(start),
            ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
          });
          for (const { Key: name = '', LastModified } of page.Contents ?? [])
            found.push({ key: name.slice(prefix.length), atMs: LastModified?.getTime() ?? 0 });
          ContinuationToken = page.NextContinuationToken;
          if (ContinuationToken === undefined) return found;
        }
      }),
    get: (key) =>
      ask(async (s3) => {
        try {
          const { Body } = await s3.getObject({ Bucket, Key: Key(key) });
          return (Body as AsyncIterable<Uint8Array> | undefined) ?? null;
        } catch (error) {
          if (nameOf(error) === 'NoSuchKey') return null;
          throw error;
        }
      }),
    put: (key, content) =>
      ask(async (s3) => {
        try {
          await s3.putObject({ Bucket, Key: Key(key), Body: content, IfNoneMatch: '*' });
        } catch (error) {
          if (nameOf(error) !== 'PreconditionFailed') throw error;
        }
      }),
    renew: (key) =>
      ask(async (s3) => {
        const CopySource = `${Bucket}/${Key(key).split('/').map(encodeURIComponent).join('/')}`;
        await s3.copyObject({ Bucket, Key: Key(key), CopySource, MetadataDirective: 'REPLACE' });
      }),
    remove: (keys) =>
      ask(async (s3) => {
        for (let from = 0; from < keys.length; from += keysMax) {
          const Objects = keys.slice(from, from + keysMax).map((key) => ({ Key: Key(key) }));
          const { Errors } = await s3.deleteObjects({ Bucket, Delete: { Objects, Quiet: true } });
          const [first] = Errors ?? [];
          if (first) throw new Error(`${first.Key} cannot be deleted: ${first.Message}`);
        }
      }),
    async sign(keys) {
      const { getSignedUrl } = await needed(signerPackage, import('@aws-sdk/s3-request-presigner'));
      const { GetObjectCommand } = await import('@aws-sdk/client-s3');
      return ask(async (s3) => {
        const urls: string[] = [];
        for (const key of keys)
          urls.push(
            await getSignedUrl(s3, new GetObjectCommand({ Bucket, Key: Key(key) }), {
              expiresIn: hourSeconds,
            }),
          );
        return urls;
      });
    },
  };
}

const clientPackage = '@aws-sdk/client-s3';
const signerPackage = '@aws-sdk/s3-request-presigner';

/** As many as one request may name. */
const keysMax = 1000;
const hourSeconds = 3600;

const needed = <T>(name: string, loading: Promise<T>): Promise<T> =>
  loading.catch((error: unknown) => {
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
    throw isMissing ? failure('PACKAGE_MISSING', { user: 'source.seed.store', name }) : error;
  });

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : '');

/** Node.js says nothing in the message if several addresses failed. */
const reasonOf = (error: unknown): string =>
  [nameOf(error), messageOf(error) || 'no answer'].filter((part) => part !== 'Error').join(': ');
