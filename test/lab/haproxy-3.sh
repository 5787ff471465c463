#!/bin/sh
# Prints the path of a HAProxy 3.0, which is fetched from Debian 13 with the libraries that it needs, and kept in a folder
# beside everything that is installed: as root, on Debian 12 or later for amd64 or arm64.
set -eu

folder=${XDG_CACHE_HOME:-/var/cache}/sluice-tests/haproxy-3
packages='haproxy libc6 libcrypt1 libgcc-s1 libjemalloc2 liblua5.4-0 libopentracing-c-wrapper0t64 libopentracing1
   libpcre2-8-0 libssl3t64 libstdc++6 libzstd1 zlib1g'

if [ ! -x "$folder/haproxy" ]; then
  mkdir -p "$folder"
  work=$(mktemp -d "$folder.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages"
  cat >"$work/debian.sources" <<END
Types: deb
URIs: http://deb.debian.org/debian
Suites: trixie
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
  # Nothing of the machine's own apt is read or changed but its network settings.
  fetch() {
    apt-get -q -o Dir::Etc::SourceList="$work/debian.sources" -o Dir::Etc::SourceParts=- -o Dir::State::Status=/dev/null \
      -o Dir::State::Lists="$work/lists" -o Dir::Cache="$work/cache" -o Acquire::Languages=none \
      -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@" >&2
  }
  fetch update
  # shellcheck disable=SC2086 # a list of words
  (cd "$work/packages" && fetch download $packages)
  for package in "$work/packages"/*.deb; do dpkg-deb -x "$package" "$folder"; done
  libraries=$(dirname "$(find "$folder/usr/lib" -name 'libc.so.6')")
  loader=$(find "$libraries" -name 'ld-linux-*.so.*' | head -n 1)
  # A master starts itself anew by the name that it was called by.
  cat >"$work/haproxy" <<END
#!/bin/sh
exec $loader --argv0 "\$0" --library-path $libraries $folder/usr/sbin/haproxy "\$@"
END
  chmod 755 "$work/haproxy"
  mv "$work/haproxy" "$folder/haproxy"
fi
printf '%s\n' "$folder/haproxy"
