"""What a further feature takes: its name in the settings, and the next retraining brings it to the API."""

from pathlib import Path

import httpx
import pytest

from autoops.ingestion.source import file_name
from autoops.loop.context import Context
from autoops.loop.monitor import drift_check
from autoops.models.registry import champion_of
from autoops.models.scoring import Scorer, load_version
from autoops.months import Month
from autoops.replay.client import served_version
from autoops.training.estimator import predict
from autoops.usecases.taxi.clean import clean
from tests.eventually import eventually
from tests.integration.live_api import live_api
from tests.integration.one_process import drive, publish, retrain, setting

JULY = Month(2022, 7)


def champion(context: Context) -> Scorer:
    return load_version(context.registry, champion_of(context.registry), context.model_cache)


def test_a_running_api_answers_with_a_feature_that_it_did_not_know_when_it_started(
    context: Context, world: Path, tmp_path: Path
) -> None:
    with live_api(context.settings, context.registry, context.log.engine) as serving:
        assert "month" not in champion(context).manifest.features
        richer = setting(context, "model", features=(*context.settings.model.features, "month"))
        publish(world, tmp_path, "2022-04..2022-06")
        assert retrain(richer, "with the month", reason="a new feature", months="2022-04..2022-06")["promoted"]
        eventually(lambda: served_version(serving.api_url) == 2)

        assert champion(context).manifest.features == richer.settings.model.features
        trips = clean(world / file_name(JULY), JULY).rows.head(5)
        asked = trips[["trip_distance", "passenger_count", "pickup_location_id", "dropoff_location_id"]]
        expected = predict(context.registry.runs[2].model, trips, champion(context).encoder)
        for trip, at, minutes in zip(asked.to_dict("records"), trips["event_at"], expected, strict=True):
            answer = httpx.post(f"{serving.api_url}/predict", json=trip | {"pickup_at": at.isoformat()}).json()
            assert (answer["model_version"], answer["trip_duration_minutes"]) == (2, pytest.approx(minutes, abs=1e-4))

    drive(richer, world, JULY, slice(0, 3_000))
    assert drift_check.check(richer)["verdict"] == "no drift"
