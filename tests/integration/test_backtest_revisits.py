"""A walk takes up second looks and refreshes by production's own code, and trains for the latter alone."""

from dataclasses import replace
from pathlib import Path

import pytest

from autoops.backtest.calendar import Step
from autoops.backtest.challengers import Challengers
from autoops.backtest.installation import Retraining, installed
from autoops.backtest.policies import AutoOps
from autoops.backtest.study import on_history
from autoops.ingestion.source import DirectorySource
from autoops.months import Month, month_range
from autoops.settings import Settings, load_settings
from autoops.usecases.taxi.sample import write_sample
from autoops.usecases.taxi.trips import NEW_YORK
from tests.conftest import CONFIG
from tests.integration.one_process import SMALL

FIRST, TRAINED, LAST = Month(2022, 1), Month(2022, 3), Month(2022, 8)


@pytest.fixture
def small(settings: Settings) -> Settings:
    """No alarm leads to an incident."""
    loaded = load_settings(CONFIG)
    model = loaded.model.model_copy(update={"parameters": SMALL})
    drift = loaded.drift.model_copy(update={"alarms_needed": 99, "alarms_of": 99})
    return on_history(loaded.model_copy(update={"model": model, "drift": drift}))


@pytest.mark.system
def test_a_refresh_is_a_retraining_and_the_look_after_it_is_none(small: Settings, tmp_path: Path) -> None:
    """A week of this city has some 1,400 trips, and once there is a champion the gate asks for 2,000."""
    write_sample(tmp_path / "city", list(month_range(FIRST, LAST)), trips_per_month=6_000)
    source, challengers = DirectorySource(tmp_path / "city"), Challengers(tmp_path / "challengers")
    with installed(small, tmp_path / "home", source, FIRST, TRAINED, challengers) as installation:
        assert installation.retrain(reason="first model").promoted
        careful = small.model_copy(update={"gate": small.gate.model_copy(update={"min_rows": 2_000})})
        installation.context = replace(installation.context, settings=careful)
        done: dict[str, list[Retraining]] = {}
        for month in month_range(TRAINED.plus(1), LAST):
            installation.clock.move_to(month.ends_in(NEW_YORK))
            installation.source.publish(month)
            done[str(month)] = AutoOps().act(installation, Step(month, month))
        versions = installation.registry.versions()

    kinds = {month: [one.kind for one in some] for month, some in done.items()}
    assert kinds["2022-04"] == ["scheduled"]
    assert kinds["2022-05"][0] == "re-evaluation"
    (refresh,), look = done["2022-04"], done["2022-05"][0]
    assert (refresh.decision, refresh.detected, refresh.months) == (
        "inconclusive",
        False,
        ["2022-02", "2022-03", "2022-04"],
    )
    assert (look.version, look.detected, look.months) == (refresh.version, False, ["2022-04", "2022-05"])
    trained = [kind for some in kinds.values() for kind in some if kind == "scheduled"]
    assert len(versions) == 1 + len(trained)
