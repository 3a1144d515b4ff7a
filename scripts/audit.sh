#!/usr/bin/env bash
# Asks PyPI's database of known vulnerabilities for every version in the locks; 1 when one has any. `--dry-run` asks nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
exec .venv/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off \
  --requirement requirements.txt "$@"
