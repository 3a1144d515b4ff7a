#!/usr/bin/env bash
# Compiles the locks from pyproject.toml: requirements.txt for every supported Python, and one for each image, with the
# same versions. `--check` only says whether they are current; other arguments go to uv.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
universal=requirements.txt
images=docker/requirements

# compile LOCK SOURCE... : a lock that exists is kept where it still fits.
compile() {
  "${UV:-.venv/bin/uv}" pip compile "${@:2}" --python-version 3.11 --quiet \
    --no-header --no-emit-index-url --no-annotate --output-file "$1"
}

# compile_all DIRECTORY [uv's arguments]
compile_all() {
  local root=$1 image=(--constraint "$1/$universal" --python-platform linux)
  compile "$root/$universal" pyproject.toml --extra pipeline --extra boosters --extra stores --extra tracing --group dev --group tracking-server --universal "${@:2}"
  compile "$root/$images/api.txt" pyproject.toml --extra tracing "${image[@]}"
  compile "$root/$images/airflow.txt" pyproject.toml --extra pipeline --extra tracing "${image[@]}"
  compile "$root/$images/mlflow.txt" --group tracking-server "${image[@]}"
}

if [[ ${1:-} == --check ]]; then
  fresh=$(mktemp -d)
  trap 'rm -rf "$fresh"' EXIT
  mkdir -p "$fresh/$images"
  cp "$universal" "$fresh"
  cp "$images"/*.txt "$fresh/$images"
  compile_all "$fresh"
  stale=0
  for lock in "$universal" "$images"/{api,airflow,mlflow}.txt; do diff -u "$lock" "$fresh/$lock" || stale=1; done
  ((stale == 0)) || { echo "Locks are stale: run scripts/lock.sh" >&2; exit 1; }
else
  mkdir -p "$images"
  compile_all . "$@"
fi
