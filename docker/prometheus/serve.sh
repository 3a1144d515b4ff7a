#!/bin/sh
# Prometheus with its receiver of OTLP, to which Airflow sends: an option of version 3, a feature of version 2. What
# Airflow times are native histograms.
set -eu
receiver=--web.enable-otlp-receiver
prometheus --help 2>&1 | grep -q -e "$receiver" || receiver=--enable-feature=otlp-write-receiver
exec prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/prometheus \
  --enable-feature=native-histograms "$receiver"
