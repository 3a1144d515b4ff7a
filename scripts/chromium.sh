#!/usr/bin/env bash
# Prints a Chromium for the tests of the console: of AUTOOPS_CHROMIUM, of the PATH, else the distribution's package, which root may install.
set -euo pipefail
if [[ -n ${AUTOOPS_CHROMIUM:-} ]]; then
  echo "$AUTOOPS_CHROMIUM"
  exit 0
fi
if ! command -v chromium && ! command -v chromium-browser && ! command -v google-chrome; then
  if ((EUID)) || ! command -v apt-get >/dev/null; then
    echo "the tests of the console need Chromium on the PATH (apt-get install chromium), or AUTOOPS_CHROMIUM" >&2
    exit 1
  fi
  install() { apt-get -qq install --yes --no-install-recommends chromium >&2; }
  install || { apt-get -qq update >&2 && install; }
  command -v chromium
fi
