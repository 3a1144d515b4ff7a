"""A retraining starts twice, finds MLflow or the source broken: one incident, one version, one promotion."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest

from autoops.ingestion.source import file_name
from autoops.loop.records.ledger import PAGE
from autoops.mlflow_registry import MlflowRegistry
from autoops.models.registry import CHAMPION
from autoops.usecases.taxi.trips import NEW_YORK
from tests.faults.proxy import Fault
from tests.faults.retrain.conftest import FIRST, MONTHS, Installation, Run
from tests.integration.test_url_source import Answer, FileServer, Handler, dropping, failing, truncated

pytestmark = [pytest.mark.faults, pytest.mark.quick]


def at_once(installation: Installation, *arguments: str) -> list[Run]:
    """Two processes, the one that ended better first."""
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda _: installation.run("autoops.cli", "retrain", *arguments), range(2))
        return sorted(done, key=lambda run: run.returncode)


def test_two_at_once_for_one_incident_are_one(installation: Installation, registry: MlflowRegistry) -> None:
    assert installation.run(*FIRST).returncode == 0
    incident = installation.ledger.open_incident("drift", "planted", actor="test", model_version=1)
    winner, loser = at_once(installation, "--incident", str(incident))
    assert (winner.returncode, loser.returncode) == (0, 5), winner.stderr + loser.stderr
    assert f"incident {incident}" in loser.stderr
    assert len(registry.versions()) == 2
    counts = installation.counts(incident)
    assert (counts["trained"], counts["gate"], counts["incident closed"]) == (1, 1, 1)


def test_two_at_once_never_replace_the_same_champion(installation: Installation, registry: MlflowRegistry) -> None:
    assert installation.run(*FIRST).returncode == 0
    done = at_once(installation, "--force", "--reason", "I insist")
    promoted = installation.ledger.entries(kind="promoted")
    assert [entry.evidence["replaces"] for entry in promoted] == [None, *(e.model_version for e in promoted[:-1])]
    assert registry.by_alias(CHAMPION).number == promoted[-1].model_version
    assert [run.returncode for run in done] == [0] * (len(promoted) - 1) + [5] * (3 - len(promoted))
    unresolved = installation.ledger.incidents(unresolved=True)
    assert [installation.counts(one.id)["retraining failed"] for one in unresolved] == [1] * (3 - len(promoted))


def test_an_mlflow_that_forbids_its_artifacts_fails_the_run_in_a_line_and_a_person_takes_it_up(
    installation: Installation, registry: MlflowRegistry
) -> None:
    assert installation.run(*FIRST).returncode == 0
    incident = installation.ledger.open_incident("drift", "planted", actor="test", model_version=1)
    for status in (403, 503):
        with installation.mlflow.put(Fault("answer", rb"PUT [^ ]*mlflow-artifacts", status=status)):
            failed = installation.run("autoops.cli", "retrain", "--incident", str(incident))
        assert failed.returncode == 6, failed.stderr
        assert f"{status}" in failed.stderr
    assert installation.counts(incident)["retraining failed"] == 2
    assert [version.number for version in registry.versions()] == [1]
    assert installation.run("autoops.cli", "retrain", "--incident", str(incident)).returncode == 0
    assert installation.ledger.incident(incident).status == "closed"
    assert [version.number for version in registry.versions()] == [2, 1]


def test_a_champion_alias_that_is_deleted_is_told_once_and_replaced_by_nobody(
    installation: Installation, registry: MlflowRegistry
) -> None:
    assert installation.run(*FIRST).returncode == 0
    registry._client.delete_registered_model_alias(registry.name, CHAMPION)
    for _ in range(2):
        assert "autoops promote 1 " in installation.run("autoops.cli", "check-drift").stdout
    (page,) = installation.ledger.entries(kind=PAGE)
    assert page.model_version == 1
    refused = installation.run("autoops.cli", "retrain", "--force", "--reason", "I insist")
    assert refused.returncode == 5, refused.stderr
    assert "autoops promote 1 " in refused.stderr
    assert registry.by_alias(CHAMPION) is None
    assert installation.run("autoops.cli", "promote", "1", "--reason", "it was deleted").returncode == 0
    assert "no champion" not in installation.run("autoops.cli", "check-drift", "--json").stdout


def missing(handler: Handler, content: bytes) -> None:
    handler.refuse(404)


def stalls(handler: Handler, content: bytes) -> None:
    """Half-way, for longer than `data.timeout_s`."""
    handler.send_response(200)
    handler.send_header("content-length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])
    Event().wait(10)
    handler.close_connection = True


def file_only(trouble: Answer) -> Answer:
    """What is asked about the file is answered; the file itself does not come."""

    def answer(handler: Handler, content: bytes) -> None:
        if handler.command == "GET":
            trouble(handler, content)
        else:
            handler.deliver(content)

    return answer


TROUBLES: list[tuple[Answer, int]] = [(missing, 3), (failing, 3), (truncated, 6), (stalls, 6), (dropping, 6)]
"""Of a month that the server refuses while it answers for others, nothing will come soon: it is left out, and what
needs it fails. A download that breaks off is worth another attempt."""


def test_a_source_that_breaks_fails_the_run_in_a_line_and_the_incident_stays_one(
    installation: Installation, registry: MlflowRegistry, source: FileServer
) -> None:
    assert "no champion" in installation.run("autoops.cli", "check-drift").stdout
    name, until = file_name(MONTHS[-1]), MONTHS[-1].starts_in(NEW_YORK) + timedelta(days=9)
    incident = installation.ledger.open_incident("drift", "planted", actor="test", evidence_end=until)
    for trouble, code in TROUBLES:
        source.queued[name] = [file_only(trouble)] * 20
        failed = installation.run("autoops.cli", "retrain", "--incident", str(incident))
        assert failed.returncode == code, failed.stderr
        assert str(MONTHS[-1]) in failed.stderr
    source.queued.clear()
    done = installation.run("autoops.cli", "retrain", "--incident", str(incident))
    assert done.returncode == 0, done.stderr
    assert [one.status for one in installation.ledger.incidents()] == ["closed"]
    assert installation.counts(incident)["promoted"] == 1
    assert [version.number for version in registry.versions()] == [1]
