"""Bookings through the whole loop over HTTP: served, labelled weeks later, alarmed, retrained, gated and swapped."""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from autoops.ingestion.cleaned import cleaner_of
from autoops.ingestion.sources import open_source
from autoops.ingestion.store import MonthStore
from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.models.registry import champion_of
from autoops.months import Month, month_range
from autoops.replay.client import served_version
from autoops.replay.itinerary import publish
from autoops.replay.player import Listener, Played, PlayOptions, play
from autoops.replay.tally import Answer
from autoops.settings import Data, Settings, load_settings
from autoops.usecases.hotel.sample import write_sample
from tests.eventually import eventually
from tests.fakes import FakeRegistry, HeldClock
from tests.integration.live_api import live_api
from tests.integration.one_process import context_in, retrain

MONTHS = list(month_range(Month(2022, 1), Month(2022, 10)))
CHANGES_FROM = MONTHS[4]
ROWS, WINDOW = 3_200, 400
CONFIG = f"""
usecase: hotel
drift: {{window_size: {WINDOW}}}
training: {{min_rows: 1000, holdout_days: 14, retrain_after_months: 0}}
model:
  estimator: sklearn.ensemble.RandomForestClassifier
  parameters: {{n_estimators: 30, min_samples_leaf: 8, max_features: 0.4, random_state: 7}}
"""


def _wait(context: Context, minutes: float) -> None:
    assert isinstance(context.clock, HeldClock)
    context.clock.advance(minutes=minutes)


@dataclass
class Monitor(Listener):
    """Checks as often as a monitor does that runs all the time."""

    context: Context
    answers: int = 0

    def answered(self, month: Month, answer: Answer) -> None:
        self.answers += 1
        if self.answers % (WINDOW // 2) == 0:
            _wait(self.context, minutes=1)
            drift_check.check(self.context)


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    (tmp_path / "config.yaml").write_text(CONFIG)
    return load_settings(tmp_path / "config.yaml").model_copy(update={"storage": settings.storage})


@pytest.mark.system
def test_a_change_of_cancellations_is_noticed_and_healed_under_traffic(
    settings: Settings, engine: sa.Engine, tmp_path: Path
) -> None:
    contract, published = settings.contract, tmp_path / "published"
    write_sample(
        tmp_path / "world", MONTHS, rows_per_month=2_000, scenario="cancel", changes_from=CHANGES_FROM, magnitude=8
    )
    world = open_source(Data(source=str(tmp_path / "world")), contract)
    source = open_source(Data(source=str(published)), contract)
    store = MonthStore(tmp_path / "months", cleaner_of(contract))
    context = replace(context_in(tmp_path, settings, engine), source=source, store=store)
    for month in MONTHS[:3]:
        world.fetch(month, raw := tmp_path / world.file_name(month))
        publish(raw, month, published, contract)
    assert retrain(context, "first", reason="first model")["promoted"]

    assert isinstance(context.registry, FakeRegistry)
    with live_api(settings, context.registry, engine) as served:

        def replay(month: Month, monitor: Monitor) -> Played:
            options = PlayOptions(
                world, [month], served.api_url, contract, ROWS, timedelta(days=14), publish_to=published
            )
            return play(options, listeners=[monitor])

        monitor = Monitor(context)
        months = iter(MONTHS[3:])
        played: list[Played] = []
        incidents: list[int] = []
        # The month in which it is noticed, or the one after, whose publication lets the labels of the evidence count.
        while not incidents:
            played.append(replay(next(months), monitor))
            # A retraining that a check asked for and nobody began is asked for again.
            _wait(context, minutes=60)
            incidents = drift_check.check(context)["actionable"]
        outcome = retrain(context, "second", incident_id=incidents[0])
        assert outcome["promoted"], outcome
        eventually(lambda: served_version(served.api_url) == 2)
        played.append(replay(next(months), monitor))
    steady, *_, changed, healed = (outcome.tally.by_month()[-1] for outcome in played)
    assert not any(outcome.failed for outcome in played)
    assert [part.model_version for part in (steady, changed, healed)] == [1, 1, 2]
    # Its training months are still of both worlds.
    assert steady.mae < healed.mae < changed.mae - 0.02
    assert champion_of(context.registry).number == 2
