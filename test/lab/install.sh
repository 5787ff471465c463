#!/bin/sh
# Installs what the system tests need on a bare Debian, and the packages that are named: as root, or with a sudo that
# does not ask. Nothing is downloaded where all of it is there, and no service is started.
set -eu

# Server programs are run by the tests themselves, with settings of their own.
# moto, which stands for AWS, comes from PyPI, in a virtual environment.
# A kernel of its own, as a program, mounts NFS and balances connections for real where the machine's kernel cannot.
packages="openssh-server openssh-client haproxy varnish ipvsadm ldirectord keepalived iproute2 git sudo cron faketime systemd
   user-mode-linux kmod nfs-kernel-server postgresql mariadb-server nginx php-fpm php-mysql php-cli wordpress python3-venv
   ansible-core $*"

missing=
for package in $packages; do
  dpkg -s "$package" 2>/dev/null | grep -q '^Status: install ok installed' || missing="$missing $package"
done 2>/dev/null
[ -n "$missing" ] || exec sh "$(dirname "$0")/install-moto.sh"

if ! command -v apt-get >/dev/null 2>&1; then
  echo "test/lab/install.sh: this is not Debian (it has no apt-get). Install$missing by hand." >&2
  exit 1
fi

if [ "$(id -u)" -eq 0 ]; then as_root=
elif sudo -n true 2>/dev/null; then as_root='sudo -n'
else
  echo "test/lab/install.sh: installing$missing needs root, or a sudo that asks for no password." >&2
  exit 1
fi

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
trap 'rm -f "$log"; [ -z "${policy_made:-}" ] || $as_root rm -f "$policy"' EXIT

# Debian starts a server as soon as it is installed, unless this says that it may not.
if [ ! -e "$policy" ]; then
  policy_made=yes
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
fi

# shellcheck disable=SC2086 # lists of words
install() {
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >"$log" 2>&1
}

echo "installing$missing" >&2
# The package lists may be absent or old: then they are fetched, and it is tried once more.
install || { $as_root apt-get update >"$log" 2>&1 && install; } || {
  cat "$log" >&2
  echo "test/lab/install.sh: apt-get could not install$missing." >&2
  exit 1
}

sh "$(dirname "$0")/install-moto.sh"
