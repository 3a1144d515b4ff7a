#!/usr/bin/env bash
# Runs the tests but those of the full stack, a file per process at a time; arguments go to pytest (scripts/test.sh tests/unit).
# `scripts/test.sh faults` runs the fault suite instead; with -m quick the part of it that every change must pass.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
if [[ ${1:-} == faults ]]; then
  shift
  set -- tests/faults "$@"
fi
exec .venv/bin/python -m pytest --numprocesses 2 --dist loadfile "$@"
