import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { deployUser, type FirstProcess } from './nodes.ts';

/**
 * Debian's systemd, as in a container: with a control group, a /dev and units of the node's own. Of the machine's units
 * it has the targets that a timer hangs with. The user to log in as has one too, as with `loginctl enable-linger`.
 */
export const systemd: FirstProcess = {
  get script() {
    return `
mkdir "$folder/groups"
mount -t cgroup2 cgroup2 "$folder/groups"
mkdir ${group}
echo 0 > ${group}/cgroup.procs
umount "$folder/groups"
exec unshare --cgroup --uts sh -euc '${container}' sh "$folder"`;
  },
  async cleanUp(folder) {
    await promisify(execFile)('unshare', ['--mount', 'sh', '-euc', removal, 'sh', folder]);
  },
};

/** Of all processes of a node, in the machine's own tree. */
const group = '"$folder/groups/sluice$(echo "$folder" | tr / .)"';

const targets = ['basic', 'sysinit', 'timers', 'shutdown', 'time-set', 'time-sync'];

const usersOwn = { unit: `user@${deployUser.uid}.service`, folder: `user/${deployUser.uid}` } as const;

/** Of the node's own, beside what is put on it. */
const units: Readonly<Record<string, readonly string[]>> = {
  'lab.target': ['[Unit]', `Requires=basic.target sshd.service ${usersOwn.unit}`],
  'sshd.service': [
    '[Unit]',
    `After=${usersOwn.unit}`,
    '[Service]',
    'ExecStart=/usr/sbin/sshd -D -E $folder/sshd.log -f $folder/sshd_config',
  ],
  [usersOwn.unit]: [
    '[Service]',
    'Type=notify',
    `User=${deployUser.name}`,
    `RuntimeDirectory=${usersOwn.folder}`,
    `Environment=XDG_RUNTIME_DIR=/run/${usersOwn.folder}`,
    'Delegate=yes',
    'ExecStart=/lib/systemd/systemd --user --unit=timers.target',
  ],
};

/** Nothing that the machine shares is written: not its kernel's settings, and not its devices. */
const container = `
folder=$1
for path in /sys /proc/sys; do
  mount --bind "$path" "$path"
  mount -o remount,bind,ro "$path"
done
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /run/dev /run/targets
mount -t tmpfs -o mode=755 tmpfs /run/dev
for name in null zero full random urandom tty; do
  : > "/run/dev/$name"
  mount --bind "/dev/$name" "/run/dev/$name"
done
mount --move /run/dev /dev
cp ${targets.map((name) => `/lib/systemd/system/${name}.target`).join(' ')} /run/targets
mount --bind /run/targets /lib/systemd/system
mount -t tmpfs tmpfs /lib/systemd/system-generators
mkdir -p /run/systemd/system
${Object.entries(units)
  .map(
    ([name, lines]) =>
      `printf "%s\\n" ${lines.map((line) => `"${line}"`).join(' ')} > /run/systemd/system/${name}`,
  )
  .join('\n')}
exec env -i container=lab /lib/systemd/systemd --system --unit=lab.target
`;

/** A group whose last process is just ending is busy. */
const removal = `
folder=$1
[ -d "$folder/groups" ] || exit 0
mount -t cgroup2 cgroup2 "$folder/groups"
[ -d ${group} ] || exit 0
for attempt in $(seq 100); do
  ! find ${group} -depth -type d -exec rmdir {} + 2>/dev/null || exit 0
  sleep 0.05
done
find ${group} -depth -type d -exec rmdir {} +
`;
