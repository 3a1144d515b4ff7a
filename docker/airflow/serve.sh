#!/usr/bin/env bash
# Airflow's users stand in a file, which is written first; then becomes the component that the arguments name.
set -euo pipefail
umask 077
export AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE=/tmp/airflow-users.json
python - "$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE" <<'PYTHON'
import json
import os
import sys

with open(sys.argv[1], "w") as file:
    users = {os.environ["AUTOOPS__AIRFLOW__USERNAME"]: os.environ["AUTOOPS__AIRFLOW__PASSWORD"]}
    json.dump(users | {"viewer": os.environ["AIRFLOW_VIEWER_PASSWORD"]}, file)
PYTHON
exec airflow "$@"
