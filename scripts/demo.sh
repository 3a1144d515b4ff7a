#!/usr/bin/env bash
# The whole loop on this machine: a model degrades and heals itself. `scripts/demo.sh --help` lists the options.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
exec .venv/bin/autoops demo "$@"
