export type NodeName = string;
/** Such as `blue`. */
export type PoolName = string;

/** A web frontend, or a machine beside them that runs the same release. */
export interface Node {
  /** Unique; the name on the screen, and by default the server's name at the balancers. */
  readonly name: NodeName;
  readonly address: string;
  readonly port: number | null;
  readonly user: string | null;
  /** The pool that it gets traffic with; null: the site has no pools. */
  readonly pool: PoolName | null;
  /** False: no balancer sends it requests, and no check asks it; it is there for workers or jobs. */
  readonly traffic: boolean;
  readonly roles: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}
