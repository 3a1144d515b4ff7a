"""With the stack's settings Airflow sends its figures as OTLP to the place where Prometheus takes them."""

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import yaml
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from tests.observability.server import ROOT

RECEIVER = "/api/v1/otlp/v1/metrics"
COUNTS = """
from airflow._shared.observability.metrics import stats
from airflow.observability.metrics import stats_utils
stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)
stats.incr("scheduler_heartbeat")
stats.gauge("pool.open_slots", 3, tags={"pool_name": "default"})
stats.incr("ti.finish", tags={"dag_id": "retrain", "task_id": "train", "state": "success"})
"""
"""As the scheduler does at its start, and then in each round."""


def test_what_runs_for_long_is_sent_and_a_task_is_not(tmp_path: Path) -> None:
    sent: list[tuple[str, ExportMetricsServiceRequest]] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            sent.append((self.path, ExportMetricsServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        environment = os.environ | _shipped(f"http://127.0.0.1:{server.server_port}") | {"AIRFLOW_HOME": str(tmp_path)}
        done = subprocess.run([sys.executable, "-c", COUNTS], env=environment, capture_output=True, text=True)
        server.shutdown()
    assert done.returncode == 0, done.stderr
    assert {path for path, _ in sent} == {RECEIVER}
    scopes = [scope for _, request in sent for resource in request.resource_metrics for scope in resource.scope_metrics]
    assert {metric.name for scope in scopes for metric in scope.metrics} == {
        "airflow.scheduler_heartbeat",
        "airflow.pool.open_slots",
    }


def _shipped(prometheus: str) -> dict[str, str]:
    """What the compose file tells Airflow of metrics, with another Prometheus."""
    services = yaml.safe_load((ROOT / "docker" / "docker-compose.yml").read_text())["services"]
    told = {
        name: value
        for name, value in services["airflow-scheduler"]["environment"].items()
        if name.startswith(("AIRFLOW__METRICS__", "OTEL_"))
    }
    assert told.pop("AIRFLOW__METRICS__OTEL_ON") == "${AIRFLOW_METRICS:-True}"
    endpoint = told["OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"].replace("http://prometheus:9090", prometheus)
    return told | {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": endpoint, "AIRFLOW__METRICS__OTEL_ON": "True"}
