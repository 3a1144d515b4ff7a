#!/usr/bin/env bash
# Runs the tests; arguments go to pytest (scripts/test.sh tests/unit).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
exec .venv/bin/python -m pytest "$@"
