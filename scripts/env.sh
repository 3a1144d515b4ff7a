#!/usr/bin/env bash
# Writes .env (or FILE) from .env.example with generated secrets; in one that is there, adds what it lacks.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
file=${1:-.env}
umask 077

random() { head -c "$1" /dev/urandom | od -An -v -tx1 | tr -d ' \n'; }

# A line of .env.example, with a value where it has none.
filled() {
  case $1 in
    AIRFLOW_FERNET_KEY=) printf '%s%s\n' "$1" "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_')" ;;
    AIRFLOW_JWT_SECRET=) printf '%s%s\n' "$1" "$(random 64)" ;;
    API_*KEY=) printf '%s%s\n' "$1" "$(random 32)" ;;
    [A-Z]*=) printf '%s%s\n' "$1" "$(random 24)" ;;
    *) printf '%s\n' "$1" ;;
  esac
}

fresh=$(mktemp "$file.XXXXXX")
trap 'rm -f "$fresh"' EXIT
[[ ! -f $file ]] || cat "$file" >"$fresh"
while IFS= read -r line; do
  if [[ ! -f $file ]]; then
    filled "$line" >>"$fresh"
  elif [[ $line == [A-Z]*=* ]] && ! grep -q "^${line%%=*}=" "$file"; then
    filled "$line" >>"$fresh"
  fi
done <.env.example

if commit=$(git describe --always --abbrev=40 --exclude='*' --dirty 2>/dev/null); then
  awk -v commit="$commit" '/^GIT_COMMIT=/ { $0 = "GIT_COMMIT=" commit } { print }' "$fresh" >"$fresh.part"
  mv "$fresh.part" "$fresh"
fi
cmp -s "$fresh" "$file" || mv "$fresh" "$file"
