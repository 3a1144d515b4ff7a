#!/usr/bin/env bash
# Builds the images that the compose file names and pushes them as REGISTRY/OWNER/REPOSITORY/TARGET:VERSION, for the
# tag that a run of Actions is about.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version=${GITHUB_REF_NAME#v}
declared=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
[[ $version == "$declared" ]] || { echo "The tag is $GITHUB_REF_NAME, but pyproject.toml says $declared" >&2; exit 1; }

scripts/env.sh
# A registry takes lower case only. These win over .env.
export IMAGE_PREFIX=${REGISTRY:-ghcr.io}/${GITHUB_REPOSITORY,,} IMAGE_TAG=$version
docker compose build --build-arg "VERSION=$version"
docker compose push --quiet
