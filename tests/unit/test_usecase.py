"""The use case: what a declaration may say, and what is derived from it."""

import copy
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from autoops.errors import SettingsError
from autoops.usecase import calendar, declaration
from autoops.usecase.columns import EVENT_AT, RESERVED, Columns, columns_of
from autoops.usecase.contract import EXACT_BELOW, SENT, Contract
from autoops.usecase.encoding import UNSEEN, Encoder, check_features, vocabularies_of
from autoops.usecase.rows import RawInputs, array_of, columns_from, inputs_from
from autoops.usecase.segments import check_segments, segments_of
from tests.taxi import CONTRACT, TRIP_COLUMNS, Trip, feature_matrix, hour_of_week

SHOP: dict[str, Any] = {
    "name": "shop_demand",
    "event_time": {"column": "sold_at", "zone": "Asia/Kolkata"},
    "target": {"column": "sold", "unit": "pieces", "at_least": 0},
    "features": {
        "price": {"type": "float", "unit": "rupees", "above": 0, "missing": "allowed"},
        "shop": {"type": "category", "missing": "allowed"},
        "kind": {"type": "category", "values": ["food", "tools"], "missing": "food"},
        "shelf": {"type": "category", "of": "int", "at_least": 1, "at_most": 900, "missing": "allowed"},
        "staff": {"type": "int", "at_least": 0, "missing": 0},
        "holiday": {"type": "bool", "missing": "allowed"},
    },
    "derived": {"hour": "hour_of_day", "weekday": "day_of_week"},
    "drift": {"groups": {"place": ["shop", "shelf"]}},
    "segments": {
        "by_price": {"by": "price", "cut": [10, 100]},
        "by_hour": {"by": "hour", "cut": [6, 22], "cyclic": True},
        "holidays": {"by": "holiday", "values": {"on holidays": True}},
        "each_shop": {"by": "shop"},
    },
}
"""A use case with each type of feature."""


def shop(**changes: Any) -> Contract:
    """The use case of a shop, changed at places such as `features__price__above`; ... removes a key."""
    return declaration.parse(changed(changes), "shop.yaml")


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    content = copy.deepcopy(SHOP)
    for place, value in changes.items():
        *path, last = place.split("__")
        part = content
        for name in path:
            part = part.setdefault(name, {})
        if value is ...:
            del part[last]
        else:
            part[last] = value
    return content


def refused(**changes: Any) -> str:
    with pytest.raises(SettingsError) as raised:
        shop(**changes)
    assert str(raised.value).startswith("shop.yaml: ")
    return str(raised.value).removeprefix("shop.yaml: ")


TARGETS: dict[str, Any] = {"task": "binary", "target__unit": ..., "target__at_least": ...}
"""What makes the use case one of a binary target, but for its positive value."""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ...}, "name: missing"),
        ({"name": "Shop demand"}, "name: String should match pattern '^[a-z][a-z0-9_]{0,62}$', got 'Shop demand'"),
        ({"target": ...}, "target: missing"),
        ({"target__column": ...}, "target.column: missing"),
        ({"features": {}, "drift": {}, "segments": {}}, "features: Dictionary should have at least 1 item"),
        ({"features__price__type": "flaot"}, "features.price.type: Input should be 'float', 'int', 'bool' or"),
        ({"features__price__type": ...}, "features.price.type: missing"),
        ({"features__a b": {"type": "int"}}, "features.a b.[key]: String should match pattern"),
        ({"task": "forecast"}, "task: Input should be 'regression' or 'binary', got 'forecast'"),
        ({"event_time__zone": "Asia/Calcuta"}, "event_time.zone: no time zone of this name"),
        ({"event_time__zone": "../UTC"}, "event_time.zone: no time zone of this name"),
        ({"event_time__earliest": 1800}, "event_time.earliest: Input should be greater than or equal to 1900"),
        ({"source__files": "{period}.xlsx"}, "source.files: expected the name of a .parquet, .csv or .csv.gz file"),
        (
            {"source__files": "a/{period}.parquet"},
            "source.files: expected the name of a .parquet, .csv or .csv.gz file",
        ),
        ({"source__files": "{period}_{period}.csv"}, "source.files: expected the name of a .parquet, .csv or .csv.gz"),
        ({"source__delimiter": ""}, "source.delimiter: String should have at least 1 character"),
        ({"source__encoding": "utf-9"}, "source.encoding: no encoding of this name; expected one such as utf-8,"),
        ({"derived__hour": "hour"}, "derived.hour.calendar: Input should be 'hour_of_day', 'day_of_week'"),
        ({"derived__hour": {}}, "derived.hour: expected one of calendar and function"),
        ({"derived__price": "hour_of_day"}, "derived.price: there is a feature of this name"),
        ({"model__features": ["price", "prize"]}, "model.features: 'prize' is none of price, shop, kind, shelf,"),
        ({"gate__segments": ["by_prize"]}, "gate.segments: 'by_prize' is none of by_price, by_hour, holidays"),
        ({"drift__seasonality": "weekly"}, "drift.seasonality: Input should be 'hour_of_week', 'day_of_week' or"),
        ({"gate__loss": "brier"}, "gate.loss: brier is no loss of regression; expected absolute or squared"),
        ({"api__seen": "key"}, "api.seen: answers have a field key already"),
        ({"api__seen": "sold"}, "api.seen: answers have a field sold already"),
    ],
)
def test_a_mistake_is_named_by_its_key(changes: dict[str, Any], said: str) -> None:
    assert refused(**changes).startswith(said)


@pytest.mark.parametrize(
    ("place", "near"),
    [
        ("tarket", "target"),
        ("features__price__atleast", "at_least"),
        ("target__at_moost", "at_most"),
        ("target__accepted__belw", "below"),
        ("event_time__zon", "zone"),
        ("segments__by_price__cuts", "cut"),
        ("drift__group", "groups"),
        ("model__paramters", "parameters"),
        ("derived__hour", "calendar"),
    ],
)
def test_an_unknown_key_is_refused_with_the_one_that_is_meant(place: str, near: str) -> None:
    value: Any = {"calender": "hour_of_day", "calendar": "hour_of_day"} if place == "derived__hour" else 1
    key = place.replace("__", ".") + (".calender" if place == "derived__hour" else "")
    assert refused(**{place: value}) == f"{key}: no such key; did you mean {near}?"


@pytest.mark.parametrize(
    ("place", "expected"),
    [("zzz", "name, task, row, rows, event_time"), ("features__price__zzz", "above, at_least, below, at_most, type,")],
)
def test_an_unknown_key_like_no_other_is_refused_with_those_that_there_are(place: str, expected: str) -> None:
    said = refused(**{place: 1})
    assert said.startswith(f"{place.replace('__', '.')}: no such key; expected one of {expected}")


def test_all_mistakes_are_told_at_once() -> None:
    said = refused(nme="x", target__column=..., features__price__above="much", features__staff__below=-1)
    assert [problem.partition(": ")[0] for problem in said.split("; ")[:-1]] == [
        "target.column",
        "features.price.above",
        "features.staff",
        "nme",
    ]


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"above": 5, "below": 5}, "no value is possible between 5 and 5"),
        ({"above": 5, "at_most": 5}, "no value is possible between 5 and 5"),
        ({"at_least": 6, "at_most": 5}, "no value is possible between 6 and 5"),
        ({"above": 5, "at_least": 5}, "above and at_least are both there: expected one of them"),
        ({"below": 5, "at_most": 5}, "below and at_most are both there: expected one of them"),
    ],
)
@pytest.mark.parametrize("place", ["features__price", "target", "target__accepted"])
def test_impossible_bounds_are_refused(place: str, bounds: dict[str, float], said: str) -> None:
    column = {"target": {"column": "sold"}, "features__price": {"type": "float"}}.get(place, {})
    assert refused(**{place: column | bounds}) == f"{place.replace('__', '.')}: {said}"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "much"])
def test_a_bound_is_a_finite_number(value: object) -> None:
    assert refused(features__price__above=value).startswith("features.price.above: Input should be a")


def test_bounds_of_one_value_hold_it() -> None:
    bounds = shop(features__price={"type": "float", "at_least": 5, "at_most": 5}).features["price"]
    assert bounds.contains(np.array([4.9, 5, 5.1, np.nan])).tolist() == [False, True, False, False]


def test_no_feature_is_the_target_or_the_event_time() -> None:
    number = {"type": "float"}
    assert refused(features__sold=number) == "features.sold: this is the target, which no model knows when it predicts"
    said = "features.sold_at: this is the event time; derive features from its calendar"
    assert refused(features__sold_at=number) == said
    assert refused(derived__sold="hour_of_day").startswith("features.sold: this is the target")
    assert refused(target__column="sold_at") == "target.column: sold_at is the event time"


@pytest.mark.parametrize("name", sorted(RESERVED))
@pytest.mark.parametrize("part", ["features", "derived"])
def test_no_feature_has_a_name_of_auto_ops_itself(part: str, name: str) -> None:
    value = {"type": "float"} if part == "features" else "hour_of_day"
    said = f"features.{name}: Auto-Ops uses this name itself; name it otherwise and give its `column`"
    assert said in refused(**{f"{part}__{name}": value})


@pytest.mark.parametrize("name", sorted(SENT))
@pytest.mark.parametrize("place", ["features__{}", "event_time__column", "target__column"])
def test_no_column_has_the_name_of_a_field_of_requests_and_answers(place: str, name: str) -> None:
    column = {place.format(name): {"type": "float"} if "{}" in place else name}
    assert f"{name}: requests and answers have a field of this name" in refused(**column)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"drift__groups": {"g": ["price", "prize"]}}, "drift.groups.g: 'prize' is none of price, shop, kind"),
        ({"drift__groups": {"price": ["shop"]}}, "drift.groups.price: a feature has this name"),
        ({"drift__groups": {"a": ["shop"], "b": ["shop"]}}, "drift.groups: shop is in more than one"),
        ({"drift__unseen": ["price"]}, "drift.unseen: 'price' is no category"),
        ({"drift__unseen": ["shp"]}, "drift.unseen: 'shp' is no category"),
        ({"segments__s": {"by": "prize"}}, "segments.s: by 'prize' is none of price, shop, kind"),
        ({"segments__s": {"by": "shop", "cut": [1]}}, "segments.s: shop has no order to cut"),
        ({"segments__s": {"by": "price", "cut": [2, 1]}}, "segments.s: cut: expected growing numbers"),
        ({"segments__s": {"by": "price", "cut": []}}, "segments.s: cut: expected growing numbers"),
        ({"segments__s": {"by": "hour", "cut": [6], "cyclic": True}}, "segments.s: cut: a cyclic one takes at least"),
        ({"segments__s": {"by": "price", "cut": [6], "names": ["a"]}}, "segments.s: names: expected 2, one for each"),
        ({"segments__s": {"by": "price", "names": ["a"]}}, "segments.s: cyclic and names belong to cut"),
        ({"segments__s": {"by": "price", "cut": [1], "values": {"a": 1}}}, "segments.s: cut and values are both there"),
        ({"segments__s": {"cut": [1]}}, "segments.s.by: missing"),
    ],
)
def test_groups_and_segments_are_of_features(changes: dict[str, Any], said: str) -> None:
    assert refused(**changes).startswith(said)


@pytest.mark.parametrize(
    ("feature", "said"),
    [
        ({"type": "category", "at_least": 1}, "a category has no bounds; a category of numbers is `of: int`"),
        ({"type": "bool", "at_most": 1}, "a bool has no bounds"),
        ({"type": "int", "values": [1, 2]}, "values are those of a category, and this is a int"),
        ({"type": "float", "of": "int"}, "`of` is that of a category, and this is a float"),
        ({"type": "category", "values": []}, "expected at least one value, each once"),
        ({"type": "category", "values": ["a", "a"]}, "expected at least one value, each once"),
        ({"type": "category", "values": ["a", 1]}, "expected strings only, or whole numbers only"),
        ({"type": "category", "values": [1.5]}, "expected strings only, or whole numbers only"),
        ({"type": "category", "of": "str", "values": [1]}, "values: expected those `of: str`"),
        ({"type": "category", "of": "int", "values": ["a"]}, "values: expected those `of: int`"),
        ({"type": "category", "distance": "wasserstein"}, "distance: strings have no order; expected jensen_shannon"),
        ({"type": "category", "missing": 5}, "missing: expected refused, allowed or a string, got 5"),
        ({"type": "category", "of": "int", "missing": "x"}, "missing: expected refused, allowed or a whole number"),
        ({"type": "int", "missing": 1.5}, "missing: expected refused, allowed or a whole number, got 1.5"),
        ({"type": "int", "missing": False}, "missing: expected refused, allowed or a whole number, got False"),
        ({"type": "float", "missing": "none"}, "missing: expected refused, allowed or a number, got 'none'"),
        ({"type": "bool", "missing": 3}, "missing: expected refused, allowed or a bool, got 3"),
    ],
)
def test_a_feature_says_nothing_that_its_type_cannot_have(feature: dict[str, Any], said: str) -> None:
    assert refused(features__c=feature).startswith(f"features.c: {said}")


@pytest.mark.parametrize(
    "told",
    [{"of": "int", "at_most": EXACT_BELOW}, {"values": [1, EXACT_BELOW]}, {"of": "int", "at_least": -EXACT_BELOW}],
)
def test_categories_of_numbers_that_models_do_not_tell_apart_are_refused(told: dict[str, Any]) -> None:
    """Inputs are float32, in which 2**24 and 2**24 + 1 are one number."""
    assert np.float32(EXACT_BELOW) == np.float32(EXACT_BELOW + 1)
    assert np.float32(EXACT_BELOW - 1) != np.float32(EXACT_BELOW - 2)
    said = "features.c: whole numbers from 16777216 on are not told apart by models; use strings"
    assert refused(features__c={"type": "category"} | told) == said
    assert shop(features__c={"type": "category", "of": "int", "at_most": EXACT_BELOW - 1}).features["c"].is_whole


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ({}, "target.positive: missing; expected the value of the target that counts as 1"),
        ({"positive": "yes"}, "target.negative: missing; expected the value of the target that counts as 0"),
        ({"positive": 5}, "target.negative: missing; expected the value of the target that counts as 0"),
        ({"positive": "yes", "negative": 0}, "target.negative: expected a value of the type of target.positive"),
        ({"positive": "yes", "negative": "yes"}, "target.negative: expected another value than target.positive"),
        ({"positive": 1, "at_least": 0}, "target: a binary one has no bounds"),
        ({"positive": 1, "accepted": {"at_most": 1}}, "target: a binary one has no bounds"),
        ({"positive": 1, "decision_threshold": 1.0}, "target.decision_threshold: Input should be less than 1"),
    ],
)
def test_a_binary_target_says_which_values_it_has(target: dict[str, Any], said: str) -> None:
    assert refused(task="binary", target={"column": "sold"} | target).startswith(said)


@pytest.mark.parametrize(
    ("positive", "negative", "other"), [(1, None, 0), (0, None, 1), (True, None, False), ("yes", "no", "no")]
)
def test_a_binary_target_has_two_values(positive: Any, negative: Any, other: Any) -> None:
    told = {"column": "sold", "positive": positive} | ({} if negative is None else {"negative": negative})
    target = shop(task="binary", target=told | {"decision_threshold": 0.25}).target
    assert [target.number(value) for value in (positive, other)] == [1.0, 0.0]
    assert [target.label(probability) for probability in (0.0, 0.24, 0.25, 1.0)] == [other, other, positive, positive]
    assert type(target.other) is type(target.positive)


def test_only_a_binary_target_has_a_positive_value_and_its_losses() -> None:
    assert refused(target__positive=1) == "target.positive: only a binary target has one"
    binary = {"task": "binary", "target": {"column": "sold", "positive": 1}}
    said = "gate.loss: absolute is no loss of binary; expected log_loss or brier"
    assert refused(**binary, gate__loss="absolute") == said
    assert (shop().loss, shop(**binary).loss) == ("absolute", "log_loss")


def test_two_contracts_are_used_side_by_side() -> None:
    """As a loop does that judges a version of another contract than today's."""
    other = shop(event_time__zone="UTC")
    at = np.array(["2024-01-01T20:00"], dtype="datetime64[us]")
    row = columns_from(shop(), at, [(5.0, "a", "food", 1, 2, True)])
    trip = columns_from(CONTRACT, at, [(2.5, 1, 74, 41)])
    assert feature_matrix(trip, ("hour", "trip_distance")).tolist() == [[15, 2.5]]
    assert [Encoder(one, ("hour",), {}).matrix(row).tolist() for one in (shop(), other)] == [[[1]], [[20]]]
    assert [list(segments_of(one, row, ["by_hour"])) for one in (shop(), other)] == [
        ["22 to 6 hour", "6 to 22 hour"]
    ] * 2
    assert [[bool(mask[0]) for mask in segments_of(one, row, ["by_hour"]).values()] for one in (shop(), other)] == [
        [True, False],
        [False, True],
    ]
    assert len({one.id_of_contract for one in (shop(), other, CONTRACT)}) == 3
    assert inputs_from(CONTRACT, trip) == [(2.5, 1, 74, 41)]


def test_a_contract_is_read_back_from_its_json() -> None:
    for contract in (CONTRACT, shop(), shop(task="binary", target={"column": "sold", "positive": True})):
        again = Contract.model_validate(contract.to_json())
        assert again == contract
        assert again.id_of_contract == contract.id_of_contract
        assert again.inputs == contract.inputs


def test_the_id_of_a_contract_follows_all_that_it_says() -> None:
    reordered = {name: SHOP["features"][name] for name in reversed(SHOP["features"])}
    others = [shop(features__price__above=1), shop(event_time__zone="UTC"), shop(features=reordered)]
    assert len({one.id_of_contract for one in (shop(), *others)}) == 4
    assert shop().id_of_contract == shop().id_of_contract
    assert len(shop().id_of_contract) == 16


def test_a_built_in_use_case_is_loaded_by_its_name() -> None:
    assert declaration.built_in() == ("hotel", "taxi")
    assert declaration.load("taxi").name == "nyc_taxi_trip_duration"


@pytest.mark.parametrize("named", ["{}", "{}/usecase.yaml", "own", "own/usecase.yaml"])
def test_a_use_case_of_ones_own_is_loaded_by_its_path(tmp_path: Path, named: str) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "usecase.yaml").write_text(yaml.safe_dump(SHOP, sort_keys=False))
    loaded = declaration.load(named.format(folder), beside=tmp_path)
    assert (loaded, loaded.id_of_contract) == (shop(), shop().id_of_contract)


def test_a_name_in_the_working_folder_does_not_replace_a_built_in_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taxi").mkdir()
    (tmp_path / "taxi" / "usecase.yaml").write_text(yaml.safe_dump(SHOP))
    monkeypatch.chdir(tmp_path)
    assert declaration.load("taxi") == CONTRACT


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (
            "taxis",
            "usecase: 'taxis' is neither built in (hotel, taxi) nor a declaration: {}/taxis does not exist; taxi is "
            "one",
        ),
        ("shop", "usecase: 'shop' is neither built in (hotel, taxi) nor a declaration: {}/shop does not exist"),
        (
            "a/b.yaml",
            "usecase: 'a/b.yaml' is neither built in (hotel, taxi) nor a declaration: {}/a/b.yaml does not exist",
        ),
        ("", "usecase: '' is neither built in (hotel, taxi) nor a declaration: {}/usecase.yaml does not exist"),
    ],
)
def test_an_unknown_use_case_is_refused_with_where_it_was_looked_for(tmp_path: Path, named: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        declaration.load(named, beside=tmp_path)
    assert str(raised.value) == said.format(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "expected keys such as `name:`, got NoneType"),
        ("just words", "expected keys such as `name:`, got str"),
        ("- name: shop", "expected keys such as `name:`, got list"),
        ("name: [", "not readable: "),
        ("name: 2024-13-45", "not readable: "),
        ("name: shop", "target: missing; features: missing"),
    ],
)
def test_a_file_that_is_no_declaration_is_refused_by_its_path(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "usecase.yaml"
    path.write_text(content)
    with pytest.raises(SettingsError) as raised:
        declaration.load(str(path))
    assert str(raised.value).startswith(f"{path}: {said}")


# What a trip becomes for a model.

ALL = (*CONTRACT.features, *CONTRACT.derived)
around_clock_changes = st.one_of(
    st.datetimes(datetime(2022, 3, 13, 4), datetime(2022, 3, 13, 10)),
    st.datetimes(datetime(2022, 11, 6, 3), datetime(2022, 11, 6, 9)),
)
moments = st.one_of(around_clock_changes, st.datetimes(datetime(2009, 1, 1), datetime(2035, 12, 31)))
trip_tuples = st.tuples(moments, st.floats(0.01, 99.9), st.integers(0, 9), st.integers(1, 265), st.integers(1, 265))


def columns(trips: list[tuple]) -> Columns:
    pickup_at, distance, passengers, pickup, dropoff = zip(*trips, strict=True)
    return {
        "event_at": np.array(pickup_at, dtype="datetime64[us]"),
        "trip_distance": np.array(distance, dtype=np.float64),
        "passenger_count": np.array(passengers, dtype=np.int16),
        "pickup_location_id": np.array(pickup, dtype=np.int16),
        "dropoff_location_id": np.array(dropoff, dtype=np.int16),
    }


@given(st.lists(trip_tuples, min_size=1, max_size=20))
def test_the_calendar_is_new_yorks_on_every_day_of_the_year(trips):
    local = pd.DatetimeIndex([trip[0] for trip in trips], tz="UTC").tz_convert("America/New_York")
    matrix = feature_matrix(columns(trips), ("hour", "day_of_week", "month"))

    assert matrix[:, 0].tolist() == list(local.hour)
    assert matrix[:, 1].tolist() == list(local.dayofweek)
    assert matrix[:, 2].tolist() == list(local.month)
    assert hour_of_week(columns(trips)["event_at"]).tolist() == list(local.dayofweek * 24 + local.hour)


@given(st.lists(trip_tuples, min_size=2, max_size=20), st.permutations(ALL))
def test_a_trip_has_the_same_features_alone_and_in_a_batch_in_the_order_that_was_asked_for(trips, names):
    batch = feature_matrix(columns(trips), names)

    assert (batch.dtype, batch.shape) == (np.float32, (len(trips), len(names)))
    for position, trip in enumerate(trips):
        assert np.array_equal(feature_matrix(columns([trip]), names)[0], batch[position])
    in_order = feature_matrix(columns(trips), ALL)
    assert np.array_equal(batch, in_order[:, [ALL.index(name) for name in names]])


def test_what_is_no_calendar_is_passed_on_as_it_is():
    trip = (datetime(2022, 7, 1, 16, 30), 2.5, 3, 74, 265)

    assert dict(zip(ALL, feature_matrix(columns([trip]), ALL)[0].tolist(), strict=True)) == {
        "trip_distance": 2.5,
        "passenger_count": 3,
        "hour": 12,
        "day_of_week": 4,
        "month": 7,
        "pickup_location_id": 74,
        "dropoff_location_id": 265,
    }


def test_no_trips_have_a_matrix_without_rows():
    none = {name: values[:0] for name, values in columns([(datetime(2022, 1, 1), 1.0, 1, 1, 1)]).items()}

    assert feature_matrix(none, ALL).shape == (0, len(ALL))


class Asked(dict[str, np.ndarray]):
    """Notes which columns are read."""

    def __init__(self, trips: Columns) -> None:
        super().__init__(trips)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> np.ndarray:
        self.names.add(name)
        return super().__getitem__(name)


def test_features_are_made_of_what_a_client_tells_before_the_trip_and_of_no_name():
    """Not of how it went or what it cost, and not of `request_id`, which may say whose it is."""
    known = Asked(columns([(datetime(2022, 7, 1, 16, 30), 2.5, 3, 74, 265)]))
    feature_matrix(known, ALL)
    told = {EVENT_AT if name == CONTRACT.event_time.column else name for name in Trip.model_fields}

    assert known.names == {*TRIP_COLUMNS} == told - {"request_id"}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("trip_distance", "speed"), "'speed' is none of trip_distance"),
        (("trip_distnce",), r"\(did you mean trip_distance\?\)"),
        (("hour", "hour"), "each listed once"),
        ((), "at least one feature"),
    ],
)
def test_features_that_do_not_exist_are_refused_by_name(names, said):
    with pytest.raises(SettingsError, match=said):
        check_features(CONTRACT, names)


def test_every_feature_there_is_may_be_listed():
    check_features(CONTRACT, ALL)


# What a row of any use case becomes.

SEEN: dict[str, tuple[int | str, ...]] = {"shop": ("a", "c", "ü"), "kind": ("food", "tools"), "shelf": (3, 7)}
AT = np.array(["2024-01-01T12:00"], dtype="datetime64[us]")


def rows_of(*inputs: RawInputs, contract: Contract | None = None) -> Columns:
    return columns_from(contract or shop(), np.repeat(AT, len(inputs)), inputs)


def of_feature(name: str, *values: Any) -> Columns:
    """Rows that differ in one feature."""
    usual = dict(zip(shop().inputs, (5.0, "a", "food", 3, 2, True), strict=True))
    return rows_of(*(tuple((usual | {name: value}).values()) for value in values))


def encoded(name: str, *values: Any) -> list[float]:
    matrix = Encoder(shop(), (name,), SEEN).matrix(of_feature(name, *values))
    assert matrix.dtype == np.float32
    return [float(value) for value in matrix[:, 0]]


def test_a_category_of_strings_is_coded_by_its_place_in_the_vocabulary() -> None:
    found = encoded("shop", "c", "a", "ü", "c", "b", "A", "", None)
    assert found[:7] == [1, 0, 2, 1, UNSEEN, UNSEEN, UNSEEN]
    assert np.isnan(found[7])
    assert UNSEEN == -1


def test_without_a_vocabulary_no_string_was_seen() -> None:
    matrix = Encoder(shop(), ("shop",), {}).matrix(of_feature("shop", "a", None))
    assert matrix[0, 0] == UNSEEN
    assert np.isnan(matrix[1, 0])


def test_a_category_of_numbers_is_its_number_whether_it_was_seen_or_not() -> None:
    assert encoded("shelf", 3, 7, 8) == [3, 7, 8]
    assert np.isnan(encoded("shelf", 3, None)[1])


def test_truth_is_one_and_what_is_missing_is_nan() -> None:
    assert encoded("holiday", True, False, True) == [1, 0, 1]
    assert encoded("holiday", False, None)[0] == 0
    for name in ("holiday", "price", "shop", "shelf"):
        assert np.isnan(encoded(name, *([None] * 2))).all()
        assert np.isnan(encoded(name, None)).all()


ANY = (None, 5.0), (None, "a", "b", "c"), ("food", "toys"), (None, 3, 4, 7), (0, 2), (None, True, False)


@given(st.lists(st.tuples(*map(st.sampled_from, ANY)), min_size=1, max_size=9))
def test_a_row_is_known_alone_as_in_a_batch_if_all_its_categories_were_seen(inputs: list[RawInputs]) -> None:
    encoder = Encoder(shop(), ("price",), SEEN)
    expected = [shop in (None, "a", "c") and kind == "food" and shelf != 4 for _, shop, kind, shelf, _, _ in inputs]
    assert encoder.known(rows_of(*inputs)).tolist() == expected
    assert [encoder.knows(row) for row in inputs] == expected


def test_only_the_categories_that_are_to_be_told_apart_make_a_row_unknown() -> None:
    unknown = (5.0, "b", "toys", 4, 2, True)
    for told, known in (([], True), (["shop"], False), (["shelf"], False)):
        encoder = Encoder(shop(drift__unseen=told), ("price",), SEEN)
        assert (encoder.knows(unknown), encoder.known(rows_of(unknown)).tolist()) == (known, [known])


def test_vocabularies_are_the_values_that_occur_in_order() -> None:
    rows = rows_of(
        (None, "c", "tools", 7, 1, None), (1.5, None, "food", None, 1, True), (2.5, "a", "food", 3, 1, False)
    )
    assert vocabularies_of(shop(), rows) == {"shop": ("a", "c"), "kind": ("food", "tools"), "shelf": (3, 7)}


def test_a_frame_has_the_columns_that_the_log_has(tmp_path: Path) -> None:
    """pandas holds a missing string as NaN, which must not become a value that was never seen."""
    frame = pd.DataFrame(
        {
            "event_at": pd.Series(np.repeat(AT, 3)).dt.tz_localize("UTC"),
            "price": [1.5, None, 2.5],
            "shop": ["a", None, "b"],
            "kind": ["food", "food", "tools"],
            "shelf": [3.0, None, 7.0],
            "staff": [1, 0, 2],
            "holiday": [True, None, False],
            "target": [1.0, 2.0, 3.0],
        }
    )
    frame.to_parquet(tmp_path / "rows.parquet", index=False)
    logged = rows_of(
        (1.5, "a", "food", 3, 1, True), (None, None, "food", None, 0, None), (2.5, "b", "tools", 7, 2, False)
    )
    for one in (frame, pd.read_parquet(tmp_path / "rows.parquet")):
        found = columns_of(one)
        assert {*found} == {*shop().inputs, EVENT_AT}
        assert inputs_from(shop(), found) == inputs_from(shop(), logged)
        assert vocabularies_of(shop(), found) == vocabularies_of(shop(), logged)
        matrices = [Encoder(shop(), shop().model_features, SEEN).matrix(each) for each in (found, logged)]
        assert np.array_equal(*matrices, equal_nan=True)


# Rows as the log holds them.

RAW: dict[str, st.SearchStrategy[Any]] = {
    "price": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "shop": st.none() | st.text(),
    "kind": st.sampled_from(("food", "tools")),
    "shelf": st.none() | st.integers(1, 900),
    "staff": st.integers(0, 2**31),
    "holiday": st.none() | st.booleans(),
}


@given(st.lists(st.tuples(*RAW.values()), max_size=8))
def test_rows_come_out_of_columns_as_they_went_in(inputs: list[RawInputs]) -> None:
    found = columns_from(shop(), np.repeat(AT, len(inputs)), inputs)
    assert {name: len(values) for name, values in found.items()} == dict.fromkeys(
        (*shop().inputs, EVENT_AT), len(inputs)
    )
    assert inputs_from(shop(), found) == inputs


@pytest.mark.parametrize("name", RAW)
@given(data=st.data())
def test_values_come_out_of_an_array_as_they_went_in(name: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(RAW[name], max_size=8))
    array = array_of(shop().features[name], values)
    assert array.shape == (len(values),)
    assert (array.dtype == object) == shop().features[name].is_text
    one = shop(features={name: SHOP["features"][name]}, drift={}, segments={})
    assert inputs_from(one, {name: array, EVENT_AT: np.repeat(AT, len(values))}) == [(value,) for value in values]


def test_a_float_is_one_even_if_all_values_are_whole() -> None:
    assert array_of(shop().features["price"], [1, 2]).dtype == np.float64
    assert array_of(shop().features["staff"], [1, 2]).dtype == np.int64


# Segments.


def members(columns: Columns, *names: str, contract: Contract | None = None) -> dict[str, list[bool]]:
    check_segments(contract or shop(), names)
    return {name: mask.tolist() for name, mask in segments_of(contract or shop(), columns, names).items()}


def test_a_cut_makes_bands_that_hold_their_lower_end() -> None:
    found = members(of_feature("price", 9.9, 10, 99.9, 100, None), "by_price")
    assert found == {
        "under 10 rupees": [True, False, False, False, False],
        "10 to 100 rupees": [False, True, True, False, False],
        "100 rupees and more": [False, False, False, True, False],
    }


def test_bands_have_the_names_that_they_are_given() -> None:
    named = shop(segments__by_price={"by": "price", "cut": [10], "names": ["cheap", "dear"]})
    found = members(of_feature("price", 5, 50), "by_price", contract=named)
    assert found == {"cheap": [True, False], "dear": [False, True]}


def test_the_first_band_of_a_cyclic_cut_goes_over_the_end() -> None:
    hours = np.arange(24)
    moments = np.datetime64("2024-01-01T00:30", "us") + hours * np.timedelta64(1, "h") - np.timedelta64(330, "m")
    row = (5.0, "a", "food", 3, 2, True)
    found = members(columns_from(shop(), moments, [row] * 24), "by_hour")
    night = ((hours < 6) | (hours >= 22)).tolist()
    assert found == {"22 to 6 hour": night, "6 to 22 hour": [not one for one in night]}


def test_values_make_a_segment_for_each_name() -> None:
    assert members(of_feature("holiday", True, False, None), "holidays") == {"on holidays": [True, False, False]}


def test_without_values_there_is_a_segment_for_each_that_occurs() -> None:
    found = members(of_feature("shop", "c", "a", None, "a"), "each_shop")
    assert found == {"shop=a": [False, True, False, True], "shop=c": [True, False, False, False]}
    shelves = shop(segments__each={"by": "shelf"})
    assert members(of_feature("shelf", 7, 3), "each", contract=shelves) == {
        "shelf=3": [False, True],
        "shelf=7": [True, False],
    }
    assert members(of_feature("shelf", 7, None, 3), "each", contract=shelves) == {
        "shelf=3": [False, False, True],
        "shelf=7": [True, False, False],
    }


def test_a_single_value_of_a_category_is_a_segment() -> None:
    assert members(of_feature("shop", "c", "a", None), "shop=a") == {"shop=a": [False, True, False]}
    assert members(of_feature("shelf", 3, 30, None), "shelf=3") == {"shelf=3": [True, False, False]}
    assert members(of_feature("shop", "a=b", "a"), "shop=a=b") == {"shop=a=b": [True, False]}


def test_segments_are_in_the_order_that_was_asked_for() -> None:
    found = members(of_feature("price", 5), "holidays", "kind=food", "by_price")
    assert list(found) == ["on holidays", "kind=food", "under 10 rupees", "10 to 100 rupees", "100 rupees and more"]
    assert members(of_feature("price", 5)) == {}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("by_prize", "did you mean by_price?"),
        ("price", "no segment of shop_demand (by_price, by_hour, holidays, each_shop)"),
        ("price=5", "no segment of shop_demand"),
        ("shop=", "no segment of shop_demand"),
        ("shelf=a", "no segment of shop_demand"),
        ("shelf=0", "no segment of shop_demand"),
        ("shelf=901", "no segment of shop_demand"),
        ("kind=toys", "no segment of shop_demand"),
        ("speed=5", "no segment of shop_demand"),
    ],
)
def test_a_segment_that_there_is_not_is_refused(name: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        check_segments(shop(), ["by_price", name])
    assert str(raised.value).startswith(f"gate.segments: {name!r} is no segment of")
    assert said in str(raised.value)


# Calendars.

ZONES = (
    "UTC",
    "Asia/Kolkata",  # 5:30
    "Asia/Kathmandu",  # 5:45
    "America/St_Johns",  # -3:30 with daylight saving
    "Australia/Lord_Howe",  # daylight saving by half an hour
    "Europe/Lisbon",
    "Pacific/Apia",  # left out a day in 2011
    "America/New_York",
)
PARTS: dict[str, Callable[[Any], Any]] = {
    "hour_of_day": lambda local: local.hour,
    "day_of_week": lambda local: local.dayofweek,
    "hour_of_week": lambda local: local.dayofweek * 24 + local.hour,
    "month_of_year": lambda local: local.month,
}


@pytest.mark.parametrize("zone", ZONES)
@given(st.lists(st.datetimes(datetime(1975, 1, 1), datetime(2037, 12, 31)), min_size=1, max_size=9))
def test_a_calendar_is_that_of_its_zone(zone: str, moments: list[datetime]) -> None:
    local = pd.DatetimeIndex(moments, tz="UTC").tz_convert(zone)
    at = np.array(moments, dtype="datetime64[us]")
    for name, part in PARTS.items():
        compute = partial(calendar.calendar, name)
        assert compute(at, ZoneInfo(zone)).tolist() == list(part(local))
        assert [int(compute(at[i : i + 1], ZoneInfo(zone))[0]) for i in range(len(at))] == list(part(local))


@pytest.mark.parametrize(
    ("zone", "around"),
    [
        ("Australia/Lord_Howe", "2024-04-06T15:00"),
        ("Australia/Lord_Howe", "2024-10-05T15:30"),
        ("America/St_Johns", "2024-03-10T05:30"),
        ("America/St_Johns", "2024-11-03T04:30"),
        ("Europe/Lisbon", "2024-03-31T01:00"),
        ("Asia/Kolkata", "2023-12-31T18:30"),
        ("Pacific/Apia", "2011-12-30T10:00"),
    ],
)
def test_clocks_change_on_time(zone: str, around: str) -> None:
    steps = np.arange(-16, 17) * np.timedelta64(5, "m")
    at = np.datetime64(around, "us") + np.concatenate([steps, [np.timedelta64(-1, "us")]])
    local = pd.DatetimeIndex(at, tz="UTC").tz_convert(zone)
    for name, part in PARTS.items():
        assert calendar.calendar(name, at, ZoneInfo(zone)).tolist() == list(part(local))
    days = [(moment.date() - datetime(1970, 1, 1).date()).days for moment in local]
    assert calendar.local_days(at, ZoneInfo(zone)).tolist() == days


def test_a_calendar_of_no_rows_is_empty() -> None:
    for compute in (partial(calendar.calendar, name) for name in calendar.OF_HOURS):
        assert compute(np.array([], dtype="datetime64[us]"), ZoneInfo("Asia/Kolkata")).tolist() == []
