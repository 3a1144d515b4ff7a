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
    json.dump({os.environ["AUTOOPS__AIRFLOW__USERNAME"]: os.environ["AUTOOPS__AIRFLOW__PASSWORD"]}, file)
PYTHON
exec airflow "$@"
