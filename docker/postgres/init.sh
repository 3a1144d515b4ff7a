#!/usr/bin/env bash
# On an empty volume: a role and a database for each service, and nobody in another's.
set -euo pipefail
for name in airflow mlflow autoops; do
  variable=${name^^}_DB_PASSWORD
  psql --set ON_ERROR_STOP=1 --quiet --username "$POSTGRES_USER" --set name="$name" --set password="${!variable}" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
