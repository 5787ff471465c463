export type NodeName = string;

/** A web frontend. */
export interface Node {
  /** Unique; the name on the screen, and by default the server's name at the balancers. */
  readonly name: NodeName;
  readonly address: string;
  readonly port: number | null;
  readonly user: string | null;
  readonly roles: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}
