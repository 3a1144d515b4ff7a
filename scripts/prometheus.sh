#!/usr/bin/env bash
# Prints a folder with prometheus and promtool for the tests: of the PATH, else the distribution's package, unpacked in var/ and neither installed nor started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if found=$(command -v prometheus) && command -v promtool >/dev/null; then
  dirname "$found"
  exit 0
fi

folder=$PWD/var/prometheus
if [[ ! -x $folder/usr/bin/promtool ]]; then
  if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "the tests need prometheus and promtool on the PATH, or apt-get to fetch them with" >&2
    exit 1
  fi
  fresh=$(mktemp -d)
  trap 'rm -rf "$fresh"' EXIT
  cd "$fresh"
  # Newer releases have promtool in a package of its own.
  packages=(prometheus)
  ! apt-cache show promtool >/dev/null 2>&1 || packages+=(promtool)
  download() { apt-get -qq -o APT::Sandbox::User=root download "${packages[@]}" >&2; }
  download || { apt-get -qq update >&2 && download; }
  for package in *.deb; do dpkg-deb --extract "$package" unpacked; done
  mkdir -p "${folder%/*}"
  rm -rf "$folder"
  mv unpacked "$folder"
fi
echo "$folder/usr/bin"
