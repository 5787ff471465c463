#!/bin/sh
# Installs moto, which stands for AWS in tests, from PyPI: in a virtual environment of its own, and only if it is not there.
set -eu

venv="${XDG_CACHE_HOME:-$HOME/.cache}/sluice-lab/moto-5.2.5"
[ ! -e "$venv"/lib/python3*/site-packages/py_partiql_parser ] || exit 0

echo "installing moto in $venv" >&2
python3 -m venv "$venv"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Of what moto[server] would bring, the parts that a server of load balancers and of S3 needs.
"$venv/bin/pip" install --disable-pip-version-check moto==5.2.5 flask==3.1.2 flask-cors==6.0.1 py-partiql-parser==0.6.3 >"$log" 2>&1 || {
  cat "$log" >&2
  rm -rf "$venv"
  echo "test/lab/install-moto.sh: pip could not install moto." >&2
  exit 1
}
