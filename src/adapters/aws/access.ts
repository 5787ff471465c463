import {
  describe,
  type Field,
  type Fields,
  objectOf,
  optional,
  secret,
  text,
  textLike,
} from '../../core/field.ts';
import type { Secret } from '../../core/secret.ts';
import { timeout } from '../balancers/hosted.ts';
import { httpUrl } from '../balancers/json.ts';

/** How an API of AWS is reached, and as whom. Null: as the SDK finds it in its environment and its files. */
export interface AwsAccess {
  readonly region: string | null;
  readonly profile: string | null;
  readonly endpoint: string | null;
  readonly credentials: AwsCredentials | null;
  readonly timeout: number;
}

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: Secret;
  readonly sessionToken: Secret | null;
}

const credentials: Field<AwsCredentials> = objectOf<AwsCredentials>({
  accessKeyId: describe('The id of the access key.', text),
  secretAccessKey: describe('The access key itself.', secret),
  sessionToken: describe('What goes with a temporary key.', optional(secret)),
});

/** The settings of every kind that is reached through an API of AWS. */
export const awsAccess: Fields<AwsAccess> = {
  region: describe(
    'The region that it is in.',
    optional(textLike('a region such as eu-west-1', /^[a-z]+(-[a-z]+)+-\d+$/), 'as the SDK finds it'),
  ),
  profile: describe('A profile of ~/.aws/config.', optional(text, 'as the SDK finds it')),
  endpoint: describe(
    "Where the API is, if not at AWS's own address for the region.",
    optional(httpUrl, "AWS's own"),
  ),
  credentials: describe(
    'An access key, for where the SDK finds nothing better (a role, a profile, the environment).',
    optional(credentials, 'as the SDK finds them'),
  ),
  timeout,
};
