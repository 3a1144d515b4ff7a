"""The audit that ends a soak finds each way in which a database may differ from what was acknowledged."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
import uuid_utils

from autoops.storage.predictions import Label, PredictionLog
from benchmarks.soaking import mix
from benchmarks.soaking.audit import Found, audit
from benchmarks.soaking.ledger import Ledger
from tests.unit.serving.test_prediction_log import MOMENT, row

TRIPS = range(mix.TRIPS)
ALL = np.arange(12 * mix.LABELS)
LABELS = [int(label) for label in ALL if 0 <= mix.trips_of(ALL)[label] < mix.TRIPS]
"""In the order in which they are sent; some trips have two."""


@pytest.fixture
def ledger(tmp_path: Path, pg_engine: sa.Engine) -> Ledger:
    """Of the first cycle's trips and all their labels; all of it in the database."""
    made, log = Ledger(tmp_path), PredictionLog(pg_engine)
    rows = [
        replace(
            row(trip, mix.request_id(trip)),
            id=str(uuid_utils.uuid7()),
            event_at=mix.BEGAN_AT + timedelta(seconds=trip),
            model_version=1 + trip % 2,
        )
        for trip in TRIPS
    ]
    for logged, trip in zip(rows, TRIPS, strict=True):
        assert made.acknowledge(trip, logged.id, logged.model_version)
    log.append(rows)
    log.attach([_label(made, label) for label in LABELS], MOMENT)
    for label in LABELS:
        made.acknowledge_label(label)
    return made


def _label(ledger: Ledger, number: int) -> Label:
    trip = int(mix.trips_of(np.array([number]))[0])
    name = mix.request_id(trip)
    return Label(1 + number * 1e-6, None if name else ledger.id_of(trip), name)


def found(ledger: Ledger, engine: sa.Engine) -> Found:
    return audit(engine, ledger.arrays(12 * mix.REQUESTS))


def test_what_stands_as_it_was_acknowledged_is_perfect(ledger: Ledger, pg_engine: sa.Engine) -> None:
    seen = found(ledger, pg_engine)
    assert seen.perfect, seen
    assert (seen.predictions.acknowledged, seen.labels.acknowledged) == (mix.TRIPS, len(LABELS))
    assert seen.by_version == {1: mix.TRIPS // 2, 2: mix.TRIPS // 2}


COPY = "INSERT INTO {0} ({1}) SELECT {2} FROM {0} WHERE {3}"
PLAIN = "request_id IS NULL"
ONE = f"id = (SELECT min(id) FROM predictions WHERE {PLAIN})"
OTHER = f"id = (SELECT max(id) FROM predictions WHERE {PLAIN})"
COLUMNS = "request_id, event_at, predicted_at, model_version, source, inputs, prediction"


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        (f"DELETE FROM predictions WHERE {ONE}", lambda it: it.predictions.lost),
        (
            COPY.format("predictions", f"id, {COLUMNS}", f"gen_random_uuid()::text, {COLUMNS}", ONE),
            lambda it: it.predictions.doubled,
        ),
        (f"UPDATE predictions SET model_version = 9 WHERE {ONE}", lambda it: it.predictions.wrong),
        (f"UPDATE predictions SET id = gen_random_uuid()::text WHERE {ONE}", lambda it: it.predictions.wrong),
        (f"UPDATE predictions SET request_id = 'x' WHERE {ONE}", lambda it: it.predictions.wrong),
        ("DELETE FROM ground_truth WHERE id = 1", lambda it: it.labels.lost),
        (
            COPY.format("ground_truth", *["prediction_id, request_id, target, labelled_at"] * 2, "id = 1"),
            lambda it: it.labels.doubled,
        ),
        (
            f"UPDATE ground_truth SET prediction_id = (SELECT id FROM predictions WHERE {OTHER}) WHERE id ="
            " (SELECT min(id) FROM ground_truth WHERE prediction_id IS NOT NULL)",
            lambda it: it.labels.wrong,
        ),
        ("UPDATE ground_truth SET id = -id WHERE id = (SELECT max(id) FROM ground_truth)", lambda it: it.miscounted),
    ],
)
def test_each_difference_is_found(
    ledger: Ledger, pg_engine: sa.Engine, change: str, seen: Callable[[Found], int]
) -> None:
    with pg_engine.begin() as connection:
        assert connection.execute(sa.text(change)).rowcount == 1
    now = found(ledger, pg_engine)
    assert seen(now) == 1, now
    assert not now.perfect


def test_a_trip_with_two_answers_is_told(ledger: Ledger) -> None:
    assert ledger.acknowledge(0, str(ledger.id_of(0)), 1)
    assert not ledger.acknowledge(0, str(uuid_utils.uuid7()), 1)
