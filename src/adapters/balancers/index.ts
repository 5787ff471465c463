import { address } from './address.ts';
import { aws } from './aws.ts';
import { awsClassic } from './aws-classic.ts';
import { embedded } from './embedded.ts';
import { external } from './external.ts';
import { haproxy } from './haproxy.ts';
import { haproxyDataplane } from './haproxy-dataplane.ts';
import { ipvs } from './ipvs.ts';
import type { BalancerKind } from './kind.ts';
import { ldirectord } from './ldirectord.ts';
import { linode } from './linode.ts';
import { nginx } from './nginx.ts';
import { rackspace } from './rackspace.ts';
import { varnish } from './varnish.ts';

/** All kinds of balancers, by the name that `kind` has in a config. */
export const balancerKinds = {
  haproxy,
  'haproxy-dataplane': haproxyDataplane,
  nginx,
  ipvs,
  ldirectord,
  varnish,
  aws,
  'aws-classic': awsClassic,
  linode,
  rackspace,
  address,
  external,
  embedded,
} as const satisfies Record<string, BalancerKind>;
