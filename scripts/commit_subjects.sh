#!/usr/bin/env bash
# Checks commit subjects: "area: what changed", up to 60 characters, imperative. Git runs it as the hook commit-msg after
# `git config core.hooksPath .githooks`; without a file it checks the commits that origin's main branch does not have.
set -euo pipefail

# good SUBJECT: fails, saying why, for a subject that breaks the rule
good() {
  case $1 in "Merge "* | "Revert "* | "fixup! "* | "squash! "*) return 0 ;; esac
  local rule='expected "area: what changed", imperative, up to 60 characters'
  if [[ ${#1} -gt 60 ]]; then
    echo "commit subject of ${#1} characters: $1 ($rule)" >&2
  elif ! grep -qE '^[a-z][a-z0-9 ,/._-]*: [a-z`]' <<<"$1" || [[ $1 == *. ]]; then
    echo "commit subject: $1 ($rule)" >&2
  elif grep -qE '^[^:]+: (add|fix|change|remov|updat|mov|renam|mak|us|test|document|improv|refactor|clean)(e?s|es|e?d|ed|ing) ' <<<"$1"; then
    echo "commit subject: $1 (imperative: \"add\", not \"added\" or \"adding\")" >&2
  else
    return 0
  fi
  return 1
}

if [[ $# -gt 0 ]]; then
  good "$(grep -v '^#' "$1" | grep -m 1 . || true)"
  exit
fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
base=$(git merge-base HEAD origin/main 2>/dev/null) || exit 0
bad=0
while IFS= read -r subject; do
  good "$subject" || bad=1
done < <(git log --no-merges --format=%s "$base..HEAD")
exit "$bad"
