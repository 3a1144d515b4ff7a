"""A real command, seen through its log lines as JSON and through the spans that it sends."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from autoops.mlflow_registry import MlflowRegistry
from autoops.settings import PREFIX, MLflow
from tests.integration.test_cli import Shell, said
from tests.otlp import Receiver, receiving

pytestmark = pytest.mark.system

JSON = {f"{PREFIX}LOGS__FORMAT": "json"}
STEPS = ["begin", "ingest", "validate", "train", "gate", "promote", "close"]


@dataclass(frozen=True)
class Observed:
    """What `autoops bootstrap` wrote, sent and left."""

    lines: list[dict[str, Any]]
    answer: dict[str, Any]
    receiver: Receiver
    tags: dict[str, str]


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory, mlflow_db: Path) -> Observed:
    shell = Shell(tmp_path_factory.mktemp("observed"), mlflow_db)
    shell.call("sample", "--months", "2022-01..2022-02", "--output", "published", "--trips-per-month", "6000")
    with receiving() as receiver:
        run = shell.run("bootstrap", "--json", **JSON, OTEL_EXPORTER_OTLP_ENDPOINT=receiver.url)
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    uri = shell.environment[f"{PREFIX}MLFLOW__TRACKING_URI"]
    tags = MlflowRegistry("nyc_taxi_trip_duration", MLflow(tracking_uri=uri)).version(1).tags
    return Observed(lines, json.loads(run.stdout), receiver, dict(tags))


def test_the_incident_is_in_every_line_of_its_steps_and_in_the_versions_tags(observed: Observed) -> None:
    assert observed.answer["promoted"] is True
    ours = [line for line in observed.lines if line["log"]["logger"] == "autoops.loop.records.ledger"]
    kinds = [line["message"].partition(":")[0] for line in ours]
    begun = kinds.index("incident opened")
    assert kinds[:begun] == ["ingested", "ingested"]
    assert kinds[begun:] == ["incident opened", "retraining begun", "trained", "gate", "promoted", "incident closed"]
    assert {line["labels"]["incident_id"] for line in ours[begun:]} == {observed.tags["incident"]} == {"1"}
    assert {line["labels"].get("model_version") for line in ours[begun + 2 : begun + 5]} == {"1"}
    assert {line["service"]["name"] for line in observed.lines} == {"autoops-cli"}


def test_a_retraining_is_one_trace(observed: Observed) -> None:
    spans = observed.receiver.spans
    assert [span.name for span in spans] == [f"retrain.{step}" for step in STEPS]
    assert {span.service for span in spans} == {"autoops-pipeline"}
    assert len({span.trace_id for span in spans}) == 1
    assert [span.parent_id for span in spans] == ["", *[spans[0].span_id] * 6]
    assert {span.attributes["autoops.incident_id"] for span in spans[1:]} == {"1"}


def test_a_line_within_a_span_names_it(observed: Observed) -> None:
    gate = observed.receiver.named("retrain.gate")
    (line,) = [line for line in observed.lines if line["message"].startswith("gate: ")]
    assert (line["trace"]["id"], line["span"]["id"]) == (gate.trace_id, gate.span_id)


def test_a_refusal_is_a_line_and_an_exit_code(tmp_path: Path, mlflow_db: Path) -> None:
    shell = Shell(tmp_path, mlflow_db)
    run = shell.run("ingest", "--month", "2023-01", **JSON)
    *_, last = [json.loads(line) for line in run.stderr.splitlines()]
    assert (run.returncode, last["log.level"]) == (3, "error")
    assert last["message"].startswith("error: 2023-01 is not published")
    bad = shell.run("check-drift", **JSON, **{f"{PREFIX}DRIFT__WINDOW_SIZE": "many"})
    assert "drift.window_size" in json.loads(bad.stderr)["message"]


def test_traces_that_were_asked_for_and_cannot_be_made_are_refused_at_the_start(
    tmp_path: Path, mlflow_db: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry.instrumentation'] = None\n")
    shell, path = Shell(tmp_path, mlflow_db), os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    run = shell.run("serve", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", PYTHONPATH=path)
    assert said(run).startswith("error: OTEL_EXPORTER_OTLP_ENDPOINT asks for traces, and this installation lacks ")
    assert "pip install '.[tracing]'" in said(run)
    assert run.returncode == 2
    assert "lacks exporter carrier-pigeon" in said(shell.run("serve", OTEL_TRACES_EXPORTER="carrier-pigeon"))
