import type { Kind } from './field.ts';

/** A list of nodes that is kept elsewhere, and read whenever the config is. */
export interface Inventory {
  /** Which it is, for people, such as `Auto Scaling group shop-web`. */
  readonly shown: string;
  /**
   * Every node that is in it now, each as a config would write it. Nothing of that is checked yet: it is read by the fields of
   * nodes, like what a person wrote. Rejects with `NODES_UNLISTED`, also when the time is up, or `PACKAGE_MISSING`.
   */
  list(withinMs: number): Promise<readonly unknown[]>;
}

/** A kind of such lists as the registry holds it: its options are read by the fields, like every setting. */
export interface InventoryKind<Options = Readonly<Record<string, unknown>>> extends Pick<Kind, 'summary'> {
  readonly options: Kind['options'];
  /** Asks nobody yet. */
  create(options: Options, place: InventoryPlace): Inventory;
}

/** Where a list is read from on the operator's machine. */
export interface InventoryPlace {
  /** Of the config; absolute. Commands run here, and paths are relative to it. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export const inventoryKind = <Options>(kind: InventoryKind<Options>): InventoryKind =>
  kind as unknown as InventoryKind;

/** What was read of one. */
export interface Listing {
  readonly shown: string;
  readonly nodes: readonly unknown[];
}
