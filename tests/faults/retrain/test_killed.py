"""A retraining is killed between each of its acts and the record of it."""

import json

import pytest
from mlflow import MlflowClient

from autoops.mlflow_registry import MlflowRegistry
from autoops.models.registry import CHALLENGER, CHAMPION, PREVIOUS
from tests.faults.proxy import Fault
from tests.faults.retrain.conftest import FIRST, Installation

pytestmark = [pytest.mark.faults, pytest.mark.quick]

KILLS = {
    "begin: claimed": ("postgres", Fault("kill after", rb"INSERT INTO claims")),
    "train: a run is there": ("mlflow", Fault("kill after", rb"POST [^ ]*runs/create")),
    "train: a version is there": ("mlflow", Fault("kill after", rb"POST [^ ]*model-versions/create")),
    "gate: its verdict is there": ("mlflow", Fault("kill after", rb"PUT [^ ]*/gate\.json")),
    "gate: not recorded": ("postgres", Fault("kill before", rb"INSERT INTO ledger.*gate")),
    "promote: previous has moved": ("mlflow", Fault("kill after", rb'"alias": "previous"')),
    "promote: champion has moved": ("mlflow", Fault("kill after", rb'"alias": "champion"')),
    "close: not committed": ("postgres", Fault("kill before", rb"UPDATE incidents")),
}


def test_a_run_that_is_killed_at_each_step_trains_and_promotes_once(
    installation: Installation, registry: MlflowRegistry, mlflow_uri: str
) -> None:
    assert installation.run(*FIRST).returncode == 0
    for point, (where, fault) in KILLS.items():
        with getattr(installation, where).put(fault):
            killed = installation.steps("the-run")
        assert killed.returncode == -9, f"{point}: {killed.stdout}{killed.stderr}"
    done = installation.steps("the-run")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["promoted"], found["version"]) == (True, 2)
    assert [version.number for version in registry.versions()] == [2, 1]
    assert [registry.by_alias(alias).number for alias in (CHAMPION, PREVIOUS)] == [2, 1]
    assert registry.by_alias(CHALLENGER) is None, "it is champion, and challenges nobody"
    client, (gate, *_) = MlflowClient(mlflow_uri), installation.ledger.entries(kind="gate", model_version=2)
    losses = [client.get_run(registry.version(number).run_id).data.metrics["gate_loss"] for number in (1, 2)]
    assert losses == [gate.evidence["champion_mae"], gate.evidence["challenger_mae"]], "of the same rows"
    assert client.get_model_version(registry.name, "2").description.endswith(f"`autoops explain {gate.incident_id}`)")
    incidents = installation.ledger.incidents()
    assert [(one.kind, one.status) for one in incidents] == [("manual", "closed")] * 2
    counts = installation.counts(incidents[0].id)
    assert [counts[kind] for kind in ("incident opened", "trained", "gate", "promoted", "incident closed")] == [1] * 5
