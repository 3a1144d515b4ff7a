from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoops.errors import CorruptFile, NotPublished
from autoops.ingestion.source import DirectorySource, file_name
from autoops.months import Month
from autoops.replay.itinerary import load, publish, spread
from autoops.usecase.columns import TARGET
from autoops.usecases.taxi.clean import clean
from tests.taxi import CONTRACT
from tests.unit.replay.worlds import write_month

MARCH = Month(2023, 3)


@pytest.fixture
def source(tmp_path: Path) -> DirectorySource:
    write_month(tmp_path / "world", MARCH, trips=90, minutes=12)
    return DirectorySource(tmp_path / "world")


def test_a_departure_says_what_a_client_knows_and_keeps_the_truth_to_itself(source, tmp_path):
    cleaned = clean(tmp_path / "world" / file_name(MARCH), MARCH).rows
    departures = list(load(source, MARCH, tmp_path, CONTRACT).departures())
    assert len(departures) == len(cleaned) == 90
    for departure, trip in zip(departures, cleaned.itertuples(), strict=True):
        assert departure.event_at == trip.event_at.to_pydatetime()
        assert set(departure.request) == {"pickup_at", *CONTRACT.inputs, "request_id"}
        assert CONTRACT.target.column not in departure.request
        assert TARGET not in departure.request
        assert departure.request["trip_distance"] == trip.trip_distance
        assert departure.truth == 12
    assert departures[7].request_id == "2023-03/7"


def test_trips_that_take_too_long_to_be_trained_on_are_sent_too(tmp_path):
    write_month(tmp_path / "long", MARCH, trips=90, minutes=95)
    departures = list(load(DirectorySource(tmp_path / "long"), MARCH, tmp_path, CONTRACT).departures())
    assert [departure.truth for departure in departures] == [95] * 90


def test_requests_hold_plain_numbers_and_an_offset(source, tmp_path):
    request = next(load(source, MARCH, tmp_path, CONTRACT).departures()).request
    assert [type(request[name]) for name in ("trip_distance", "passenger_count", "pickup_location_id")] == [
        *(float, int, int),
    ]
    assert pd.Timestamp(request["pickup_at"]).utcoffset() is not None


def test_a_sampled_trip_has_the_id_that_it_has_in_the_whole_month(source, tmp_path):
    whole = {d.request_id: d.request for d in load(source, MARCH, tmp_path, CONTRACT).departures()}
    some = [d.request for d in load(source, MARCH, tmp_path, CONTRACT, sample=20).departures()]
    assert len(some) == 20
    assert all(whole[request["request_id"]] == request for request in some)


@given(st.integers(1, 5_000), st.data())
def test_a_sample_takes_each_trip_once_and_leaves_even_gaps(rows, data):
    sample = data.draw(st.integers(1, rows))
    taken = spread(rows, sample)
    assert len(set(taken)) == sample
    assert 0 <= taken[0] <= taken[-1] < rows
    gaps = set((taken[1:] - taken[:-1]).tolist())
    assert max(gaps, default=1) - min(gaps, default=1) <= 1


@given(st.integers(1, 500), st.integers(0, 500))
def test_a_sample_larger_than_the_month_is_the_month(rows, more):
    assert spread(rows, rows + more).tolist() == list(range(rows))


def test_a_month_that_is_not_there_or_broken_is_an_error_of_the_data(source, tmp_path):
    with pytest.raises(NotPublished):
        load(source, Month(2023, 4), tmp_path, CONTRACT)
    (tmp_path / "world" / file_name(MARCH)).write_bytes(b"PAR1 and no more")
    with pytest.raises(CorruptFile):
        load(source, MARCH, tmp_path, CONTRACT)


def test_publishing_replaces_what_was_there_and_leaves_nothing_half_done(source, tmp_path):
    raw = tmp_path / "world" / file_name(MARCH)
    target = tmp_path / "published" / file_name(MARCH)
    target.parent.mkdir()
    target.write_text("an earlier edition")
    assert publish(raw, MARCH, target.parent, CONTRACT) == target
    assert target.read_bytes() == raw.read_bytes()
    assert list(target.parent.iterdir()) == [target]
