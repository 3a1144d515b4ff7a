#!/usr/bin/env bash
# Compiles requirements.txt from pyproject.toml, for every supported Python. `--check` only says whether it is current.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

compile() {
  "${UV:-.venv/bin/uv}" pip compile pyproject.toml --group dev --universal --python-version 3.11 \
    --quiet --no-header --no-emit-index-url --no-annotate --output-file "$1" "${@:2}"
}

if [[ ${1:-} == --check ]]; then
  fresh=$(mktemp)
  trap 'rm -f "$fresh"' EXIT
  cp requirements.txt "$fresh"
  compile "$fresh"
  diff -u requirements.txt "$fresh" || { echo "requirements.txt is stale: run scripts/lock.sh" >&2; exit 1; }
else
  compile requirements.txt "$@"
fi
