#!/usr/bin/env bash
# The keys of .env as named keys of the API, before it starts; those that somebody has added besides stay.
set -euo pipefail

# keep SECRET NAME [scopes]
keep() { printf '%s\n' "$1" | autoops keys add "$2" --stdin --replace "${@:3}"; }

keep "$API_KEY" client --scope predict --scope feedback
keep "$API_ADMIN_KEY" operator --scope admin
keep "$API_METRICS_KEY" prometheus
