#!/usr/bin/env bash
# Fetches the TLC's months of 2022-01 to 2023-06 and its table of zones into a folder (scripts/months.sh DIR [SERVER]), for the tests and
# benchmarks that take AUTOOPS_TLC_DIR; what is there already stays.
set -euo pipefail
directory=${1:?usage: scripts/months.sh DIR [SERVER]}
server=${2:-https://d37ci6vzurychx.cloudfront.net}
mkdir -p "$directory"

# fetch PATH
fetch() {
  local file=$directory/${1##*/}
  [[ ! -s $file ]] || return 0
  curl --fail --silent --show-error --location --retry 3 --output "$file.part" "$server/$1"
  mv "$file.part" "$file"
}

fetch misc/taxi_zone_lookup.csv
# Not {01..12}, which the bash 3.2 of macOS does not pad.
for month in 2022-{01,02,03,04,05,06,07,08,09,10,11,12} 2023-{01,02,03,04,05,06}; do
  fetch "trip-data/green_tripdata_$month.parquet"
done
