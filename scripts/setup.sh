#!/usr/bin/env bash
# Makes .venv from the lock, and .env for the full stack; quick and silent when nothing changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/env.sh

wanted=$(cat requirements.txt pyproject.toml scripts/setup.sh | cksum)
[[ $(cat .venv/.lock-digest 2>/dev/null) != "$wanted" ]] || exit 0

python=$(scripts/python.sh)
echo "Setting up .venv with $("$python" --version) ..." >&2
if ! .venv/bin/python -c 'import uv' 2>/dev/null; then
  "$python" -m venv --clear .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check "$(grep -E '^uv==' requirements.txt | cut -d' ' -f1)"
fi
.venv/bin/uv pip sync --quiet --python .venv/bin/python requirements.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --editable .
echo "$wanted" >.venv/.lock-digest
