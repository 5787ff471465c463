import type { FleetSite } from '../fleet.ts';

/** A way to deploy: its files are written once, then the same command releases what main is at the moment. */
export interface Contender {
  readonly name: FleetSite['name'];
  /** In the table. */
  readonly label: string;
  /** Writes its files into the site's folder. */
  furnish(site: FleetSite): Promise<void>;
  /** Run in the site's folder, with the operator's home. */
  command(site: FleetSite): readonly string[];
  /** What it is not timed for, after each deploy. */
  tidy?(site: FleetSite): Promise<void>;
}

/** Releases that stay on a node: the live one and the one before. */
export const keepReleases = 2;

/** What outlives a release. */
export const linkedDir = 'wp-content/uploads';
