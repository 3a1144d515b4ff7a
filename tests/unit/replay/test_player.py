from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from autoops.errors import InputError, NotPublished
from autoops.ingestion.source import DirectorySource
from autoops.months import Month
from autoops.replay.itinerary import load
from autoops.replay.pace import Pace
from autoops.replay.player import Listener, PlayOptions, play
from autoops.replay.tally import Answer
from autoops.usecases.taxi.trips import NEW_YORK
from tests.taxi import CONTRACT
from tests.unit.replay.worlds import AnsweringApi, moments, write_month

JANUARY, FEBRUARY = Month(2023, 1), Month(2023, 2)


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_month(tmp_path / "world", JANUARY)
    write_month(tmp_path / "world", FEBRUARY)
    return tmp_path / "world"


def options(world: Path, months: list[Month] | None = None, **values: object) -> PlayOptions:
    return PlayOptions(DirectorySource(world), months or [JANUARY, FEBRUARY], "http://api", CONTRACT, **values)


def test_trips_go_out_in_event_order_with_their_own_ids(world):
    api = AnsweringApi()
    played = play(options(world, connections=1), transport=api)
    sent = moments(api.trips)
    assert len(sent) == 120
    assert sent == sorted(sent)
    assert len({trip["request_id"] for trip in api.trips}) == 120
    assert set(api.trips[0]) == {
        *("pickup_at", "trip_distance", "passenger_count", "pickup_location_id", "dropoff_location_id", "request_id"),
    }
    assert played.failed == 0


def test_a_second_replay_sends_the_very_same_requests(world):
    first, second = AnsweringApi(), AnsweringApi()
    play(options(world, connections=1, sample=20), transport=first)
    play(options(world, connections=1, sample=20), transport=second)
    assert first.trips == second.trips


def test_a_sample_is_spread_over_the_days_and_keeps_the_ids_of_the_whole_month(world):
    whole, sampled = AnsweringApi(), AnsweringApi()
    play(options(world, [JANUARY], connections=1), transport=whole)
    play(options(world, [JANUARY], connections=1, sample=15), transport=sampled)
    assert len(sampled.trips) == 15
    assert all(trip in whole.trips for trip in sampled.trips)
    gaps = {b.day - a.day for a, b in zip(moments(sampled.trips), moments(sampled.trips)[1:], strict=False)}
    assert gaps <= {1, 2, 3}


def test_connections_bound_what_is_under_way(world):
    api = AnsweringApi()
    play(options(world, connections=4), transport=api)
    assert api.most_at_once == 4


def test_answers_are_added_up_against_the_truth(world):
    [january, february] = play(options(world), transport=AnsweringApi(version=3)).tally.by_month()
    assert (january.rows, january.model_version, january.mae) == (60, 3, pytest.approx(2.0))
    assert (february.rows, february.bias) == (60, pytest.approx(2.0))


def test_labels_follow_when_event_time_has_passed_pickup_and_lag(world):
    api = AnsweringApi()
    played = play(options(world, connections=1, label_lag=timedelta(days=10)), transport=api)
    picked_up = {trip["request_id"]: moment for trip, moment in zip(api.trips, moments(api.trips), strict=True)}
    passed = FEBRUARY.ends_in(NEW_YORK)
    for path, body in reversed(api.sent):
        if path == "/predict":
            passed = picked_up[body["request_id"]]
        else:
            assert all(picked_up[label["request_id"]] + timedelta(days=10) <= passed for label in body["labels"])
    assert played.labels_sent == len(api.labels) == 99
    assert played.labels_not_due == 21
    assert played.sentences()[1:] == ["99 labels sent, 21 not due before the last month was over"]
    assert {label["trip_duration_minutes"] for label in api.labels} == {10.0}


def test_without_a_label_lag_no_ground_truth_is_sent(world):
    api = AnsweringApi()
    played = play(options(world, label_lag=None), transport=api)
    assert (api.labels, played.labels_sent, played.labels_not_due) == ([], 0, 0)
    assert played.sentences() == ["120 requests, none failed"]


def test_a_month_is_published_when_event_time_passes_its_end(world, tmp_path):
    published = tmp_path / "published"

    seen: list[tuple[str, list[str]]] = []

    class Observer(Listener):
        def month_began(self, month: Month, trips: int) -> None:
            seen.append((f"{month} began", names()))

        def month_ended(self, month: Month) -> None:
            seen.append((f"{month} ended", names()))

    def names() -> list[str]:
        return sorted(path.name for path in published.glob("*"))

    play(options(world, publish_to=published), listeners=[Observer()], transport=AnsweringApi())
    january, february = "green_tripdata_2023-01.parquet", "green_tripdata_2023-02.parquet"
    assert seen == [
        ("2023-01 began", []),
        ("2023-01 ended", [january]),
        ("2023-02 began", [january]),
        ("2023-02 ended", [january, february]),
    ]
    assert (published / january).read_bytes() == (world / january).read_bytes()


def test_failures_are_counted_by_what_was_wrong_and_nothing_is_retried(world):
    def answer(request: httpx.Request) -> httpx.Response | None:
        if b'/1"' in request.content:
            return httpx.Response(503, text="no model")
        if b'/2"' in request.content:
            raise httpx.ConnectError("refused")
        return None

    api = AnsweringApi(answer=answer)
    played = play(options(world, [JANUARY], label_lag=None), transport=api)
    assert played.failures == {"/predict: 503 no model": 1, "/predict: ConnectError": 1}
    assert (played.requests, played.failed, len(api.trips)) == (60, 2, 60)
    assert [segment.rows for segment in played.tally.by_month()] == [58]


def test_a_failed_prediction_gets_no_label_and_a_refused_label_is_a_failure(world):
    def answer(request: httpx.Request) -> httpx.Response | None:
        if request.url.path == "/ground-truth":
            refused = [{"position": 0, "reason": "unknown"}]
            return httpx.Response(200, json={"stored": 0, "attached": 0, "pending": [], "refused": refused})
        return httpx.Response(500) if b'/0"' in request.content else None

    api = AnsweringApi(answer=answer)
    played = play(options(world, [JANUARY], label_lag=timedelta(0)), transport=api)
    assert "2023-01/0" not in {label["request_id"] for label in api.labels}
    assert played.failures["label refused"] >= 1


def test_stopping_the_pace_ends_the_replay_early_with_what_it_has(world):
    pace = Pace()

    class StopsAtTen(Listener):
        answers = 0

        def answered(self, month: Month, answer: Answer) -> None:
            self.answers += 1
            if self.answers == 10:
                pace.stop()

    played = play(options(world, connections=1), pace, [StopsAtTen()], transport=AnsweringApi())
    assert sum(segment.rows for segment in played.tally.by_month()) in (10, 11)


def test_what_a_listener_raises_ends_the_replay(world):
    class Broken(Listener):
        def answered(self, month: Month, answer: Answer) -> None:
            raise InputError("no")

    with pytest.raises(InputError, match="no"):
        play(options(world), listeners=[Broken()], transport=AnsweringApi())


def test_a_month_that_the_source_does_not_have_is_said_before_the_replay_passes_it(world):
    with pytest.raises(NotPublished, match="2023-03"):
        play(options(world, [FEBRUARY, Month(2023, 3)]), transport=AnsweringApi())


@pytest.mark.parametrize(
    "values", [{"sample": 0}, {"connections": 0}, {"label_lag": timedelta(days=-1)}], ids=lambda v: next(iter(v))
)
def test_impossible_options_are_refused_by_name(world, values):
    with pytest.raises(InputError, match=next(iter(values)).replace("_", " ")):
        options(world, **values)


def test_a_sample_larger_than_the_month_is_the_month(world, tmp_path):
    assert len(load(DirectorySource(world), JANUARY, tmp_path, CONTRACT, sample=1000).frame) == 60


def test_months_of_csv_are_not_published(world):
    csv = CONTRACT.model_copy(update={"source": CONTRACT.source.model_copy(update={"files": "trips_{period}.csv"})})
    with pytest.raises(InputError, match=r"published months are parquet, and source.files is trips_\{period\}.csv"):
        PlayOptions(DirectorySource(world), [JANUARY], "http://api", csv, publish_to=world)
