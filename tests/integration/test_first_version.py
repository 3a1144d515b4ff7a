"""What `autoops bootstrap` does, on both databases: one first champion, however often it is started."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.errors import DataError, NoChampion, NotPublished
from autoops.loop.context import Context
from autoops.loop.retrain.first_version import train_first_version
from autoops.models.registry import CHAMPION
from autoops.months import Month, parse_months
from autoops.settings import Settings
from autoops.usecases.taxi.sample import write_sample
from tests.integration.one_process import SMALL, context_in


@pytest.fixture
def context(each_settings: Settings, each_engine: sa.Engine, tmp_path: Path) -> Context:
    model = each_settings.model.model_copy(update={"parameters": SMALL})
    return context_in(tmp_path, each_settings.model_copy(update={"model": model}), each_engine)


def publish(tmp_path: Path, months: str) -> None:
    write_sample(tmp_path / "published", parse_months(months), trips_per_month=6_000, seed=7)


def attempt(context: Context) -> dict[str, object]:
    return train_first_version(context, months=None, reason="first model", actor="cli:me")


def test_nothing_to_train_on_leaves_no_trace(context: Context) -> None:
    with pytest.raises(NotPublished, match="no month to train on"):
        attempt(context)
    assert context.ledger.incidents() == []


def test_the_first_version_is_trained_once_on_the_newest_window(context: Context, tmp_path: Path) -> None:
    publish(tmp_path, "2022-01..2022-04")
    assert attempt(context)["promoted"]
    champion = context.registry.by_alias(CHAMPION)
    assert champion is not None
    assert champion.tags["training_months"] == "2022-02,2022-03,2022-04"
    (incident,) = context.ledger.incidents()
    assert (incident.reason, incident.status) == ("first model", "closed")
    entries = context.ledger.entries()
    assert {entry.actor for entry in entries} == {"cli:me"}

    again = attempt(context)
    assert (again["promoted"], again["outcome"]) == (False, f"version {champion.number} is champion already")
    assert context.ledger.entries() == entries
    assert len(context.registry.versions()) == 1


def test_a_first_version_that_the_gate_refuses_is_an_error_and_the_next_attempt_trains_anew(
    context: Context, tmp_path: Path
) -> None:
    publish(tmp_path, "2022-01")
    gate = context.settings.gate.model_copy(update={"min_rows": 10**9})
    demanding = replace(context, settings=context.settings.model_copy(update={"gate": gate}))
    with pytest.raises(NoChampion, match="version 1 not promoted: inconclusive"):
        attempt(demanding)
    assert context.ledger.incidents(unresolved=True) == []
    assert attempt(context)["version"] == 2


def test_an_attempt_that_failed_is_gone_on_with(context: Context, tmp_path: Path) -> None:
    """A container that is restarted again and again must not open an incident each time."""
    publish(tmp_path, "2022-01")
    training = context.settings.training.model_copy(update={"min_rows": 10**9})
    strict = replace(context, settings=context.settings.model_copy(update={"training": training}))
    for _ in range(3):
        with pytest.raises(DataError, match=r"training\.min_rows"):
            attempt(strict)
    assert len(context.ledger.entries(kind="retraining failed")) == 3
    assert attempt(context)["promoted"]
    (incident,) = context.ledger.incidents()
    assert incident.status == "closed"
    assert context.store.get(Month(2022, 1)) is not None
