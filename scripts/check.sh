#!/usr/bin/env bash
# Everything that is checked without running the code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
PATH=$PWD/.venv/bin:$PATH

scripts/lock.sh --check
ruff format --check .
ruff check .
mypy
lint-imports
shellcheck scripts/*.sh .ci/run
