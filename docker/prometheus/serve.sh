#!/bin/sh
# Prometheus, where it can with its receiver of OTLP, to which Airflow sends; what that times are native histograms.
set -eu
# It reads the key with which it asks the API from a file only.
(umask 077 && printf %s "$API_METRICS_KEY" >/tmp/api-key)
set -- --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/prometheus
if prometheus --help 2>&1 | grep -q -e --web.enable-otlp-receiver; then
  set -- "$@" --web.enable-otlp-receiver --enable-feature=native-histograms
fi
exec prometheus "$@"
