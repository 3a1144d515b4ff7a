#!/usr/bin/env bash
# Runs the tests that every change must pass; arguments go to pytest (scripts/test.sh tests/unit).
#   scripts/test.sh                  all but the studies, whole systems, the fault suite and the full stack
#   scripts/test.sh system           whole programs as users start them: demo, Airflow, backtest, Prometheus, an API that is killed
#   scripts/test.sh all              with the studies: statistics of many simulated worlds, real months, soaks
#   scripts/test.sh faults           the fault suite; with -m quick the part of it that every change must pass
#   scripts/test.sh fuzz             at least 20,000 requests that the API's OpenAPI document allows, and others; --help has options
# A file runs in one process at a time. The slowest twenty tests and the total are printed at the end.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
case ${1:-} in
  fuzz) exec .venv/bin/python -m tests.fuzz "${@:2}" ;;
  faults) set -- tests/faults "${@:2}" ;;
  all) shift ;;
  system) set -- -m "system and not study" "${@:2}" ;;
  "" | -*) set -- -m "not study and not system" "$@" ;;
  *) set -- -m "not study" "$@" ;;
esac
cores=$(getconf _NPROCESSORS_ONLN)
# Each process has servers beside it.
exec .venv/bin/python -m pytest --numprocesses "$((cores > 3 ? 3 : 2))" --dist loadfile --no-loadscope-reorder --durations 20 "$@"
