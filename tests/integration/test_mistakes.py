"""A mistake of whoever asks for a retraining opens no incident, and the advice given for a lost alias helps."""

from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.errors import AutoOpsError, Conflict, NoChampion, NotPublished, RegistryUnavailable, SettingsError
from autoops.loop.context import Context
from autoops.loop.reports import overview
from autoops.loop.retrain import retraining
from autoops.models.registry import PROMOTED_AT, ModelVersion, champion_of
from autoops.settings import Settings
from tests.fakes import FakeRegistry
from tests.integration.one_process import context_in


@pytest.fixture
def context(tmp_path: Path, settings: Settings, engine: sa.Engine) -> Context:
    return context_in(tmp_path, settings, engine)


@pytest.mark.parametrize(
    ("model", "months", "error"),
    [
        ({}, "2023-05", NotPublished),
        ({"features": ("trip_distnce",)}, None, SettingsError),
        ({"estimator": "sklearn.ensemble.RandomForestRegresor"}, None, SettingsError),
        ({"parameters": {"n_estimators": 0}}, None, SettingsError),
    ],
)
def test_a_typo_opens_no_incident(
    context: Context, model: dict[str, object], months: str | None, error: type[AutoOpsError]
) -> None:
    changed = context.settings.model.model_copy(update=model)
    wrong = replace(context, settings=context.settings.model_copy(update={"model": changed}))
    with pytest.raises(error):
        retraining.begin(wrong, "run-1", months=months)
    assert context.ledger.incidents() == []
    assert context.ledger.entries() == []


class TooOld(FakeRegistry):
    def require_usable(self) -> None:
        raise RegistryUnavailable("version 2.22.0: upgrade it")


def test_a_registry_that_no_training_could_end_in_is_told_before_an_incident_is_opened(
    context: Context, tmp_path: Path
) -> None:
    wrong = replace(context, registry=TooOld(tmp_path / "registry"))
    with pytest.raises(RegistryUnavailable, match="upgrade it"):
        retraining.begin(wrong, "run-1")
    assert context.ledger.incidents() == []


class WithoutAlias(FakeRegistry):
    """Version 7 was promoted, and somebody has deleted the alias."""

    def versions(self) -> list[ModelVersion]:
        return [ModelVersion(7, "run", {PROMOTED_AT: "2026-01-01T00:00:00+00:00"})]


def test_a_lost_alias_is_put_back_and_nothing_is_trained_meanwhile(context: Context, tmp_path: Path) -> None:
    lost = replace(context, registry=WithoutAlias(tmp_path / "registry"))
    helps = r'autoops promote 7 --reason "\.\.\." puts it back'
    with pytest.raises(NoChampion, match=helps):
        champion_of(lost.registry)
    with pytest.raises(Conflict, match=helps):
        retraining.begin(lost, "run-1")
    assert any("autoops promote 7" in line for line in overview.sentences(overview.overview(lost)))
    assert lost.ledger.incidents() == []
