"""A retraining is killed between each of its acts and the record of it."""

import json

import pytest

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
    installation: Installation, registry: MlflowRegistry
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
    assert [registry.by_alias(alias).number for alias in (CHAMPION, CHALLENGER, PREVIOUS)] == [2, 2, 1]
    incidents = installation.ledger.incidents()
    assert [(one.kind, one.status) for one in incidents] == [("manual", "closed")] * 2
    counts = installation.counts(incidents[0].id)
    assert [counts[kind] for kind in ("incident opened", "trained", "gate", "promoted", "incident closed")] == [1] * 5
