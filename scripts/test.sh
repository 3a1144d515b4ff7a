#!/usr/bin/env bash
# Runs the tests but those of the full stack, a file per process at a time; arguments go to pytest (scripts/test.sh tests/unit).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
exec .venv/bin/python -m pytest --numprocesses 2 --dist loadfile "$@"
