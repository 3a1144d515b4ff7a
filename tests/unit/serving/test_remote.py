"""An API elsewhere that is busy: what it stored before it said so is stored once."""

import httpx
import numpy as np
import pyarrow as pa
import pytest

from autoops.serving.offline.remote import RemoteModel
from autoops.serving.payloads import arrow
from autoops.serving.payloads.arrow import ArrowReader
from tests.arrow_streams import trip_table
from tests.taxi import CONTRACT, MODELS

READER = ArrowReader(MODELS)


@pytest.mark.parametrize("given", [None, ["mine", None, "yours"]], ids=["no ids", "some ids"])
def test_trips_that_are_sent_again_have_the_same_request_ids(given: list[str | None] | None) -> None:
    stored: dict[str, float] = {}
    asked = []

    def answer(request: httpx.Request) -> httpx.Response:
        batch = READER.read(request.content, 10)
        assert batch.request_ids is not None
        stored.update(zip(batch.request_ids, batch.features["trip_distance"], strict=True))  # type: ignore[arg-type]
        asked.append(batch.request_ids)
        if len(asked) == 1:
            return httpx.Response(503, json={"detail": "the database did not answer in time"})
        answered = {
            "trip_duration_minutes": batch.features["trip_distance"],
            "model_version": np.ones(len(batch), dtype=np.int32),
        }
        return httpx.Response(200, content=arrow.write(pa.table(answered)))

    sent = READER.read(arrow.write(trip_table(3, request_id=given and pa.array(given))), 10)
    with httpx.Client(base_url="http://api", transport=httpx.MockTransport(answer)) as client:
        minutes, _ = RemoteModel(client, CONTRACT).predict(sent)
    assert len(asked) == 2
    assert list(stored.values()) == minutes.tolist() == sent.features["trip_distance"].tolist()
    assert [wanted or name for name, wanted in zip(asked[0], given or [None] * 3, strict=True)] == asked[1]
