#!/usr/bin/env bash
# Prints a Python 3.11, 3.12 or 3.13 to build the environment with, or says why there is none.
set -euo pipefail
fits='import sys, venv, ensurepip; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
for candidate in "${AUTOOPS_PYTHON:-}" python3 python3.13 python3.12 python3.11; do
  if [[ -n $candidate ]] && command -v "$candidate" >/dev/null && "$candidate" -c "$fits" 2>/dev/null; then
    command -v "$candidate"
    exit 0
  fi
done
found=$(python3 --version 2>/dev/null || echo "no python3")
echo "Auto-Ops needs Python 3.11, 3.12 or 3.13 with its venv module; found $found (AUTOOPS_PYTHON may name another)." >&2
exit 1
