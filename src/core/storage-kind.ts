/** The types of file system, as /proc/mounts names them, by the kind of storage that a config may ask for. */
export const storageKinds = {
  nfs: ['nfs', 'nfs4'],
  efs: ['nfs4', 'efs'],
  glusterfs: ['fuse.glusterfs'],
  cephfs: ['ceph', 'fuse.ceph', 'fuse.ceph-fuse'],
  gfs2: ['gfs2'],
  ocfs2: ['ocfs2'],
  s3fs: ['fuse.s3fs'],
  smb: ['cifs', 'smb3'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type StorageKind = keyof typeof storageKinds;

/** Every type that several machines can mount at the same time: those above, and some that need no name of their own. */
export const sharedTypes: readonly string[] = [
  ...Object.values(storageKinds).flat(),
  ...['lustre', 'beegfs', 'gpfs', 'wekafs', 'afs', '9p', 'virtiofs', 'davfs', 'mountpoint-s3'],
  ...['juicefs', 'mfs', 'sshfs', 'goofys', 'gcsfuse', 'blobfuse2', 'rclone'].map((name) => `fuse.${name}`),
];
