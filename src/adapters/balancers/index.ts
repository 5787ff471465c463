import { aws } from './aws.ts';
import { awsClassic } from './aws-classic.ts';
import { embedded } from './embedded.ts';
import { haproxy } from './haproxy.ts';
import type { BalancerKind } from './kind.ts';
import { linode } from './linode.ts';
import { rackspace } from './rackspace.ts';

/** All kinds of balancers, by the name that `kind` has in a config. */
export const balancerKinds = {
  haproxy,
  aws,
  'aws-classic': awsClassic,
  linode,
  rackspace,
  embedded,
} as const satisfies Record<string, BalancerKind>;
