#!/usr/bin/env bash
# MLflow behind its own sign-in. The sign-in's settings are read from a file only, so they are written first.
set -euo pipefail
umask 077
# Without the cache MLflow hashes the password twice for each request, and each replica of the API sends one every two
# seconds. A change by MLflow's own API counts at once, any other within a minute.
export MLFLOW_AUTH_CONFIG_PATH=/tmp/auth.ini
cat >"$MLFLOW_AUTH_CONFIG_PATH" <<INI
[mlflow]
default_permission = READ
database_uri = ${MLFLOW_BACKEND_STORE_URI}
auth_cache_ttl_seconds = 60
INI
# Telling it the hosts drops its defaults: without the service's own name, every call over the network is refused.
exec mlflow server --app-name basic-auth --host 0.0.0.0 --port 5000 --workers 1 --uvicorn-opts=--no-access-log \
  --artifacts-destination /var/lib/mlflow \
  --allowed-hosts "mlflow,mlflow:*,localhost,localhost:*,127.0.0.1,127.0.0.1:*"
