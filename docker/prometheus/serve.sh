#!/bin/sh
# Prometheus, where it can with its receiver of OTLP, to which Airflow sends; what that times are native histograms.
set -eu
set -- --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/prometheus
if prometheus --help 2>&1 | grep -q -e --web.enable-otlp-receiver; then
  set -- "$@" --web.enable-otlp-receiver --enable-feature=native-histograms
fi
exec prometheus "$@"
