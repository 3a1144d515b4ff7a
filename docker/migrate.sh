#!/usr/bin/env bash
# Brings all three databases to the newest schema; does nothing where they are there.
set -euo pipefail
autoops migrate
airflow db migrate
mlflow db upgrade "$MLFLOW_BACKEND_STORE_URI"
