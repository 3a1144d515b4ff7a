"""The verbs on decisions, on a database without incidents and without MLflow."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner, Result

from autoops.cli import app
from autoops.cli.identity import actor
from autoops.clock import SystemClock
from autoops.errors import Conflict, InputError, NotFound
from autoops.loop.records.ledger import Ledger
from autoops.settings import CONFIG_VARIABLE
from tests.conftest import CONFIG


@pytest.fixture
def ledger(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.setenv(CONFIG_VARIABLE, str(CONFIG))
    return Ledger(engine, SystemClock())


def run(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def said(*words: str) -> str:
    """On one line, whatever the width of the terminal."""
    done = run(*words)
    assert done.exit_code == 0, done.exception
    return " ".join(done.stdout.split())


def test_who_freezes_stands_in_the_ledger(ledger: Ledger) -> None:
    assert said("freeze", "--reason", "election day") == f"frozen by {actor()}: election day"
    assert "no longer frozen" in said("unfreeze")
    assert said("unfreeze") == "was not frozen"
    assert [(entry.kind, entry.actor) for entry in ledger.entries()] == [("frozen", actor()), ("unfrozen", actor())]


def test_incidents_are_listed_explained_and_closed(ledger: Ledger) -> None:
    assert said("incidents") == "no incidents"
    number = ledger.open_incident("drift", "slower", actor="drift_monitor", model_version=3)
    ledger.record("promoted", "better", actor="test", model_version=5)
    assert "slower" in said("incidents")
    assert json.loads(run("incidents", "--json").stdout)[0]["status"] == "open"
    assert "Incident 1: version 3 alarmed" in said("explain", str(number))
    assert isinstance(run("approve", "1", "--reason", "sure").exception, NotFound)
    assert "version 5 is champion since" in said("explain", "--version", "5")
    assert "version 5 is champion since" in said("explain", "5"), "no incident has this number"
    assert said("close", "1", "--reason", "a holiday") == "incident 1 closed by hand: a holiday"
    assert said("incidents", "--open") == "no incidents"
    assert json.loads(run("explain", "1", "--json").stdout)["incident"]["outcome"] == "closed by hand: a holiday"
    assert isinstance(run("close", "1", "--reason", "again").exception, Conflict)


def test_what_served_is_told_at_any_time(ledger: Ledger) -> None:
    ledger.record("promoted", "better", actor="cli:ann", model_version=4, evidence={"replaces": None})
    now = SystemClock().now() + timedelta(minutes=1)
    assert "version 4 was champion" in said("served-at", f"{now:%Y-%m-%d %H:%M}")
    assert "version 4 was champion" in said("explain", "--at", now.isoformat())
    assert "no version had been promoted yet" in said("served-at", "2023-05-02 14:05")
    assert json.loads(run("served-at", "2023-05-02T14:05-04:00", "--json").stdout) == {
        "at": "2023-05-02T14:05:00-04:00",
        "tenure": None,
    }


@pytest.mark.parametrize(
    "words",
    [["served-at", "Tuesday"], ["explain"], ["explain", "1", "--at", "2023-05-02"], ["explain", "1", "--version", "2"]],
)
def test_what_cannot_be_asked_is_the_callers_mistake(ledger: Ledger, words: list[str]) -> None:
    assert isinstance(run(*words).exception, InputError)
