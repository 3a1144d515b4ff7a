#!/usr/bin/env bash
# Runs the tests but those of the full stack, a file per process at a time; arguments go to pytest (scripts/test.sh tests/unit).
# `fuzz` asks the API at least 20,000 times what its OpenAPI document allows, and much that it does not; --help has options.
# `faults` runs the fault suite instead; with -m quick the part of it that every change must pass.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
if [[ ${1:-} == fuzz ]]; then
  exec .venv/bin/python -m tests.fuzz "${@:2}"
fi
if [[ ${1:-} == faults ]]; then
  shift
  set -- tests/faults "$@"
fi
cores=$(getconf _NPROCESSORS_ONLN)
# Each process has servers beside it.
exec .venv/bin/python -m pytest --numprocesses "$((cores > 3 ? 3 : 2))" --dist loadfile --no-loadscope-reorder "$@"
