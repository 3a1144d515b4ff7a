#!/usr/bin/env bash
# The full stack in containers: up, demo, test or down. Further arguments go to `docker compose up`, pytest or `docker compose down`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
verb=${1:-}
shift || true

docker compose version >/dev/null 2>&1 || { echo "stack.sh needs Docker with compose v2 (docker compose version)" >&2; exit 1; }

# A value of .env, or of the environment, which wins for compose as well.
setting() { printenv "$1" || sed -n "s/^$1=//p" .env; }

# Until the API answers; a first start trains the first version before.
wait_until_ready() {
  echo "waiting for a model on http://127.0.0.1:$(setting API_PORT) ..."
  for _ in $(seq 300); do
    if docker compose exec --no-TTY gateway bash -c \
      'exec 3<>/dev/tcp/127.0.0.1/8000; printf "GET /ready HTTP/1.0\r\n\r\n" >&3; grep -q " 200 " <&3' 2>/dev/null; then return; fi
    sleep 2
  done
  docker compose ps --all
  docker compose logs --tail 20 bootstrap api
  echo "no model after ten minutes; above is what the stack says" >&2
  exit 1
}

say_where() {
  cat <<TEXT
API         http://127.0.0.1:$(setting API_PORT)/docs   any name, API_KEY of .env as the password
Airflow     http://127.0.0.1:$(setting AIRFLOW_PORT)   admin, AIRFLOW_PASSWORD of .env
Console     http://127.0.0.1:$(setting CONSOLE_PORT)   the key API_ADMIN_KEY of .env
MLflow      http://127.0.0.1:$(setting MLFLOW_PORT)   admin, MLFLOW_PASSWORD of .env
Prometheus  http://127.0.0.1:$(setting PROMETHEUS_PORT)
TEXT
}

case $verb in
  up)
    scripts/env.sh
    docker compose up --detach --build "$@"
    wait_until_ready
    say_where
    ;;
  demo)
    scripts/env.sh
    export COMPOSE_PROFILES=demo CHECK_INTERVAL_S=20
    docker compose up --detach --build "$@"
    wait_until_ready
    say_where
    docker compose logs --follow --no-log-prefix traffic
    docker compose exec airflow-scheduler autoops status
    ;;
  test)
    scripts/setup.sh
    exec .venv/bin/python -m pytest tests/stack --exitfirst "$@"
    ;;
  down)
    exec docker compose --profile '*' down "$@"
    ;;
  *)
    echo "usage: scripts/stack.sh up | demo | test | down (--volumes also deletes all data)" >&2
    exit 2
    ;;
esac
