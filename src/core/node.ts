export type NodeName = string;
/** Such as `blue`. */
export type PoolName = string;

/** A web frontend. */
export interface Node {
  /** Unique; the name on the screen, and by default the server's name at the balancers. */
  readonly name: NodeName;
  readonly address: string;
  readonly port: number | null;
  readonly user: string | null;
  /** The pool that it gets traffic with; null: the site has no pools. */
  readonly pool: PoolName | null;
  readonly roles: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}
