import { list } from './errors.ts';
import type { Node, NodeName } from './node.ts';
import type { SharedStorage, Site } from './site.ts';
import { sharedTypes, storageKinds } from './storage-kind.ts';

export interface Mount {
  /** A device, or what a server exports: `nfs1:/export/shop`. */
  readonly source: string;
  readonly target: string;
  readonly type: string;
}

/** What a node says of a linked directory that is, or should be, on shared storage. */
export interface Place {
  /** As the config names it. */
  readonly dir: string;
  /** Where its link leads: absolute, on the node. */
  readonly path: string;
  /** `silent`: nothing was heard of it within the time limit, and the rest says nothing. */
  readonly state: 'there' | 'absent' | 'silent';
  /** Why it is absent, in the words of the node's `ls`. */
  readonly reason: string;
  readonly mount: Mount;
  readonly isWritable: boolean;
  /** Null if the file system does not say. */
  readonly freeKiB: number | null;
  /** Files that the live release shows under this name, and that are not here; null: they could not be compared in time. */
  readonly lostFiles: number | null;
}

export interface NodeStorage {
  readonly node: NodeName;
  readonly places: readonly Place[];
  /** Linked files that would be on the storage, and are not. */
  readonly missingFiles: readonly string[];
  /** What holds `deployTo`. */
  readonly code: Mount;
}

/** Where a linked path leads on every node. */
export const linkTarget = ({ deployTo, shared }: Pick<Site, 'deployTo' | 'shared'>, path: string): string =>
  `${shared?.linkedDirs.includes(path) ? shared.path : `${deployTo}/shared`}/${path}`;

/** Whether a linked path may hang with the storage: then it is only touched within a time limit. */
export const mayHang = (site: Pick<Site, 'deployTo' | 'shared'>, path: string): boolean =>
  site.shared !== null && linkTarget(site, path).startsWith(`${site.shared.path}/`);

/** Linked directories that are looked at: those on the storage, and those that seem to belong there. */
export const storageDirs = (site: StorageSite): readonly string[] =>
  site.linkedDirs.filter((dir) => isNamed(site, dir) || mayHang(site, dir) || isSuspect(site, dir));

type StorageSite = Pick<Site, 'deployTo' | 'linkedDirs' | 'shared' | 'localDirs' | 'nodes' | 'become'>;

const isNamed = ({ shared }: Pick<Site, 'shared'>, dir: string): boolean =>
  shared?.linkedDirs.includes(dir) ?? false;

/** What one of several nodes takes in is lost to the others. */
const isSuspect = ({ shared, localDirs, nodes }: StorageSite, dir: string): boolean =>
  nodes.length > 1 && !localDirs.includes(dir) && !shared?.linkedDirs.includes(dir) && isForUploads(dir);

/** What visitors send in has such a name in the applications that people know. */
export const isForUploads = (dir: string): boolean =>
  /(^|\/)(uploads?|media|files|attachments|userfiles|fileadmin|moodledata|storage|storage\/app|storage\/app\/public)$/i.test(
    dir,
  );

/** Below this, the storage counts as full. */
export const freeMinKiB = 100 * 1024;

/** How long a node may take to look at its storage. */
export const storageLimitSeconds = 10;
/** How long it may take to compare the files of a directory that moves there. */
export const compareLimitSeconds = 120;

/**
 * What stands against a release, of what one node says: a sentence each. `isMaking`: what is absent on the right mount
 * is about to be made.
 */
export function storageProblems(
  site: StorageSite,
  { node, places, missingFiles }: NodeStorage,
  { isMaking }: { readonly isMaking: boolean },
): readonly string[] {
  const silent = places.find(({ state }) => state === 'silent');
  if (silent) return [silence(node, silent)];
  return [
    ...places.flatMap((place) =>
      isNamed(site, place.dir) ? ofNamed(site, node, place, isMaking) : lostProblem(site, node, place),
    ),
    ...missingFiles.map(
      (path) => `${node}: linked file ${linkTarget(site, path)} is missing; put it there first.`,
    ),
  ];
}

const silence = (node: NodeName, { path, mount }: Place): string =>
  `${node}: ${path} did not answer within ${storageLimitSeconds} s: its mount (${shown(mount)}) is stale. ` +
  `See that its server runs and that ${node} reaches it, else unmount it (umount -f -l ${mount.target}) and mount it again.`;

function ofNamed(site: StorageSite, node: NodeName, place: Place, isMaking: boolean): readonly string[] {
  const { dir, path, mount, state, reason, isWritable, freeKiB, lostFiles } = place;
  const { kind } = site.shared as SharedStorage;
  const types: readonly string[] = kind === null ? sharedTypes : storageKinds[kind];
  if (!types.includes(mount.type)) {
    const expected = kind === null ? 'a network or cluster file system' : `${kind} (${types.join(' or ')})`;
    return [
      `${node}: ${path} was expected on a mount of ${expected}, but it is on ${shown(mount)}. ` +
        'Mount the storage there, in /etc/fstab too, so that it is there after a restart.',
    ];
  }
  const absent = state === 'absent';
  const own = absent && mount.target === path ? reason : null;
  if (own !== null) return [`${node}: ${path} (${shown(mount)}) cannot be read: ${own}. Mount it again.`];
  const lost = lostProblem(site, node, { dir, path, lostFiles });
  if (absent)
    return [
      ...(isMaking
        ? []
        : [`${node}: ${path} is not on the storage (${shown(mount)}): ${reason}. sluice check makes it.`]),
      ...lost,
    ];
  return [
    ...(isWritable
      ? []
      : [
          `${node}: ${path} (${shown(mount)}) is not writable for ${writer(site, node)}, whom the application was expected to write as. ` +
            'Change its owner or mode on the server, mount it read-write, or set become.',
        ]),
    ...(freeKiB !== null && freeKiB < freeMinKiB
      ? [
          `${node}: ${path} (${shown(mount)}) has ${mib(freeKiB)} MiB left, and ${mib(freeMinKiB)} were expected. Make room there.`,
        ]
      : []),
    ...lost,
  ];
}

function lostProblem(
  { deployTo }: StorageSite,
  node: NodeName,
  { dir, path, lostFiles }: Pick<Place, 'dir' | 'path' | 'lostFiles'>,
): readonly string[] {
  const from = `${deployTo}/current/${dir}`;
  if (lostFiles === null)
    return [
      `${node}: the files of ${from} could not be compared with ${path} within ${compareLimitSeconds} s. ` +
        `See that all of them are there, then put a link to ${path} in the place of ${from}.`,
    ];
  return lostFiles === 0
    ? []
    : [
        `${node}: ${from} has ${lostFiles} file(s) that ${path} lacks: they would vanish from the site. Copy them there first.`,
      ];
}

/**
 * Linked directories with a name for uploads that are a disk of each node's own, a sentence each: what one node takes
 * in, the others would not have.
 */
export function localUploads(site: StorageSite, found: readonly NodeStorage[]): readonly string[] {
  return site.linkedDirs
    .filter((dir) => isSuspect(site, dir))
    .flatMap((dir) => {
      const local = found.flatMap(({ node, places }) =>
        places
          .filter((place) => place.dir === dir && place.state !== 'silent')
          .filter(({ mount }) => !sharedTypes.includes(mount.type))
          .map(({ mount }) => ({ node, mount })),
      );
      if (local.length < 2) return [];
      return [
        `${list(local.map(({ node }) => node))}: linked directory ${dir} is on a disk of each node's own (${shown(local[0]!.mount)}): ` +
          'what one node takes in, the others would not have. Put it on storage that all nodes mount and name it in shared.linkedDirs; if it is meant, in localDirs.',
      ];
    });
}

/** Worth knowing, and perhaps meant. */
export const codeOnStorage = ({ deployTo }: StorageSite, { node, code }: NodeStorage): readonly string[] =>
  sharedTypes.includes(code.type)
    ? [
        `${node}: ${deployTo} is on ${shown(code)}: code belongs on a disk of the node's own, or all nodes change at once.`,
      ]
    : [];

/** Of a node that does not see the marker that `writer` wrote. */
export const otherStorage = (
  node: NodeName,
  place: Place,
  first: { readonly node: NodeName; readonly place: Place },
): string =>
  `${node}: ${place.path} (${shown(place.mount)}) was expected to be the storage that ${first.node} has there (${shown(first.place.mount)}), ` +
  `but a file that ${first.node} wrote was not seen. Mount the same export on both.`;

export const unwritten = (node: NodeName, { path, mount }: Place, reason: string): string =>
  `${node}: a file could not be written to ${path} (${shown(mount)}): ${reason}.`;

const writer = ({ become, nodes }: StorageSite, name: NodeName): string =>
  become ?? nodes.find((node: Node) => node.name === name)?.user ?? 'the login user';

const shown = ({ type, source, target }: Mount): string => `${type} from ${source} at ${target}`;

const mib = (kib: number): number => Math.floor(kib / 1024);
