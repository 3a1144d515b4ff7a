#!/usr/bin/env bash
# Everything that is checked without running the code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
PATH=$PWD/.venv/bin:$PATH

# valid SCHEMA FILE...
valid() { check-jsonschema --builtin-schema "$@"; }

scripts/lock.sh --check
ruff format --check .
ruff check .
# The rule is a preview of ruff's. Docstrings of verbs are help texts, which name no exceptions.
ruff check --quiet --preview --select DOC501 --exclude src/autoops/cli src
mypy
lint-imports
python scripts/map.py --check
scripts/commit_subjects.sh
git ls-files -z '*.sh' | xargs -0 shellcheck .ci/run .githooks/commit-msg

valid vendor.github-workflows .github/workflows/*.yml
valid custom.github-workflows-require-timeout .github/workflows/*.yml
valid vendor.github-actions .github/actions/*/action.yml
valid vendor.dependabot .github/dependabot.yml
valid vendor.github-issue-forms .github/ISSUE_TEMPLATE/{bug,idea}.yml
valid vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
zizmor --quiet --offline --pedantic .github

valid vendor.compose-spec docker/docker-compose.yml
# Debian keeps no old versions that one could ask for (DL3008), pip's cache is a mount and no layer (DL3042), and a `cd`
# ends with its RUN (DL3003).
hadolint --ignore DL3003 --ignore DL3008 --ignore DL3042 docker/Dockerfile
