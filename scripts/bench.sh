#!/usr/bin/env bash
# Runs one of the benchmarks (scripts/bench.sh serving); further arguments go to it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ -z ${1:-} ]] || ! grep -qs '^if __name__' "benchmarks/$1.py"; then
  echo "usage: scripts/bench.sh NAME, one of:" "$(grep -l '^if __name__' benchmarks/*.py | xargs -n 1 basename -s .py | xargs)" >&2
  exit 2
fi
scripts/setup.sh
exec .venv/bin/python -m "benchmarks.$1" "${@:2}"
