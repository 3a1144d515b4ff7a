"""Quality by the declaration: what is broken data and what is a changed world in tables that are no taxi's."""

import calendar
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from autoops.errors import EmptyMonth
from autoops.ingestion.declared import clean, profile_of
from autoops.ingestion.profile import Profile
from autoops.ingestion.quality import Quality, judge, judge_part
from autoops.months import Month
from autoops.usecase.columns import EVENT_AT
from autoops.usecase.contract import Contract

DECLARED = """
name: pumps
event_time: {column: at}
target: {column: load}
features:
  flow: {type: float, at_least: 0}
  depth: {type: float, above: 0, missing: allowed}
  visits: {type: int, at_least: 0}
  raining: {type: bool}
  plan: {type: category}
  site: {type: category, of: int, at_least: 0, missing: allowed}
"""
CONTRACT = Contract.model_validate(yaml.safe_load(DECLARED))
SEASON = (9, 10, 8, 4, 1, 1, 1, 1, 1, 1, 3, 9)
"""Rows per day of a ski resort by month, as multiples of those of summer."""

Change = Callable[[pd.DataFrame], pd.DataFrame]


def table(month: Month, per_day: float = 24, seed: int = 0) -> pd.DataFrame:
    """Rows at even distances through the month. The flow follows from the plan, the depth varies by a factor of 20."""
    rows = round(per_day * calendar.monthrange(month.year, month.month)[1])
    draw = np.random.default_rng([seed, month.year, month.month])
    plan = draw.choice(["basic", "plus", "pro", "trial"], rows, p=[0.4, 0.3, 0.2, 0.1])
    usual = pd.Series(plan).map({"basic": 10, "plus": 40, "pro": 160, "trial": 3}).to_numpy()
    return pd.DataFrame(
        {
            "at": pd.Timestamp(f"{month}-01") + pd.to_timedelta(np.arange(rows) * (86_400 / per_day), unit="s"),
            "load": draw.normal(50, 10, rows),
            "flow": usual * draw.lognormal(0, 0.1, rows),
            "depth": np.where(draw.random(rows) < 0.1, np.nan, draw.lognormal(3, 1.5, rows)),
            "visits": draw.poisson(3, rows),
            "raining": draw.random(rows) < 0.2,
            "plan": plan,
            "site": draw.integers(1, 8, rows).astype(float),
        }
    )


def profiled(rows: pd.DataFrame, month: Month, folder: Path, contract: Contract = CONTRACT) -> Profile:
    rows.to_parquet(folder / "rows.parquet", index=False)
    return clean(contract, folder / "rows.parquet", month).profile


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> list[Profile]:
    folder, months = tmp_path_factory.mktemp("pumps"), [Month(2026, number) for number in range(1, 5)]
    return [profiled(table(month), month, folder) for month in months]


def judged(change: Change, history: list[Profile], folder: Path) -> Quality:
    month = Month(2026, 5)
    return judge(profiled(change(table(month)), month, folder), history)


def some(rows: pd.DataFrame, share: float) -> pd.Series:
    return pd.Series(np.arange(len(rows)) * 37 % 100 < 100 * share, rows.index)


WORLD: dict[str, Change] = {
    "as before": lambda rows: rows,
    "a boolean moves from 20 to 80 %": lambda rows: rows.assign(raining=~rows["raining"]),
    "a boolean moves from 20 to 43 %": lambda rows: rows.assign(raining=rows["raining"] | some(rows, 0.3)),
    "a new plan beside the others": lambda rows: rows.assign(plan=rows["plan"].mask(some(rows, 0.3), "gold")),
    "the cheap plan wins": lambda rows: rows.assign(plan="basic").where(some(rows, 0.7), rows),
    "a trial ends": lambda rows: rows[rows["plan"] != "trial"],
    "depths are three times as large": lambda rows: rows.assign(depth=3 * rows["depth"]),
    "flows are a quarter higher": lambda rows: rows.assign(flow=1.25 * rows["flow"]),
    "twice the rows": lambda rows: table(Month(2026, 5), 48),
    "a third of the rows stays away": lambda rows: rows[~some(rows, 0.33)],
    "fewer nulls": lambda rows: rows.assign(depth=rows["depth"].fillna(20.0)),
    "some more nulls": lambda rows: rows.assign(depth=rows["depth"].mask(some(rows, 0.15))),
    "twenty rows equal others": lambda rows: pd.concat([rows, rows.head(20)]),
}

BROKEN: dict[str, tuple[Change, str, str]] = {
    "a boolean is constant": (lambda rows: rows.assign(raining=False), "constant column", "raining"),
    "a number is constant": (lambda rows: rows.assign(visits=3), "constant column", "visits"),
    "one plan alone": (lambda rows: rows.assign(plan="basic"), "constant column", "plan"),
    "a large spread in hundredths": (lambda rows: rows.assign(depth=100 * rows["depth"]), "unit change", "depth"),
    "kilometres": (lambda rows: rows.assign(flow=1.609 * rows["flow"]), "unit change", "flow"),
    "thousandths": (lambda rows: rows.assign(flow=rows["flow"] / 1000), "unit change", "flow"),
    "a category is renamed": (
        lambda rows: rows.assign(plan=rows["plan"].replace("plus", "Plus")),
        "unseen categories",
        "plan",
    ),
    "all in capitals": (lambda rows: rows.assign(plan=rows["plan"].str.upper()), "unseen categories", "plan"),
    "sites are numbered anew": (lambda rows: rows.assign(site=rows["site"] + 1000), "unseen categories", "site"),
    "rows twice": (lambda rows: pd.concat([rows, rows]), "duplicated rows", "all"),
    "a third of the rows is left": (lambda rows: rows[some(rows, 0.33)], "volume collapse", "days"),
    "all null": (lambda rows: rows.assign(depth=np.nan), "null surge", "depth"),
    "many nulls": (lambda rows: rows.assign(depth=rows["depth"].mask(some(rows, 0.4))), "null surge", "depth"),
    "no category": (lambda rows: rows.assign(site=np.nan), "null surge", "site"),
    "below zero": (
        lambda rows: rows.assign(flow=rows["flow"].mask(some(rows, 0.2), -1.0)),
        "impossible values",
        "flow impossible",
    ),
    "nulls where none may be": (
        lambda rows: rows.assign(plan=rows["plan"].mask(some(rows, 0.2), None)),
        "impossible values",
        "plan missing",
    ),
    "targets are gone": (
        lambda rows: rows.assign(load=rows["load"].mask(some(rows, 0.2))),
        "impossible values",
        "no target",
    ),
    "three days are gone": (lambda rows: rows[~rows["at"].dt.day.isin([8, 9, 10])], "volume collapse", "days"),
}


@pytest.mark.parametrize("what", WORLD)
def test_a_changed_world_is_no_broken_data(what: str, history: list[Profile], tmp_path: Path) -> None:
    assert judged(WORLD[what], history, tmp_path).findings == ()


@pytest.mark.parametrize("what", BROKEN)
def test_broken_data_is_found_and_named(what: str, history: list[Profile], tmp_path: Path) -> None:
    change, name, column = BROKEN[what]
    assert (name, column) in [(one.name, one.column) for one in judged(change, history, tmp_path).findings]


def test_a_first_month_is_judged_by_absolute_rules_alone(tmp_path: Path) -> None:
    assert judged(WORLD["as before"], [], tmp_path).findings == ()
    assert judged(BROKEN["three days are gone"][0], [], tmp_path).findings
    with pytest.raises(EmptyMonth, match="flow missing 744"):
        judged(lambda rows: rows.assign(flow=np.nan), [], tmp_path)


def test_slow_growth_over_years_is_no_broken_data(tmp_path: Path) -> None:
    good: list[Profile] = []
    for number in range(24):
        month = Month(2024, 1).plus(number)
        good.append(profiled(table(month, 6 * 1.12**number), month, tmp_path))
        assert judge(good[-1], good[:-1]).findings == ()
    assert good[-1].rows > 12 * good[0].rows


def test_a_season_is_no_broken_data_where_the_declaration_says_how_much_it_is(tmp_path: Path) -> None:
    contract = CONTRACT.model_copy(update={"quality": CONTRACT.quality.model_copy(update={"volume": 12.0})})
    profiles = []
    for number in range(24):
        month = Month(2024, 1).plus(number)
        profiles.append(profiled(table(month, 5 * SEASON[month.month - 1]), month, tmp_path))
    broken = [n for n, one in enumerate(profiles) if judge(one, profiles[:n], rules=contract.quality).findings]
    unsaid = [n for n, one in enumerate(profiles) if judge(one, profiles[:n]).findings]
    assert broken == []
    # In the first year, nothing but the declaration tells the end of a season from a loss of rows.
    assert 0 < max(unsaid) < 12


def test_a_number_that_begins_to_move_has_no_other_unit(tmp_path: Path) -> None:
    months = [Month(2026, number) for number in range(1, 6)]
    tables = [table(month) for month in months]
    still = [rows.assign(flow=0.003467) for rows in tables[:-1]]
    before = [profiled(rows, month, tmp_path) for rows, month in zip(still, months, strict=False)]
    assert judge(profiled(tables[-1], months[-1], tmp_path), before).findings == ()


def test_the_declaration_sets_floors(history: list[Profile], tmp_path: Path) -> None:
    month = Month(2026, 5)
    rows = BROKEN["many nulls"][0](table(month))
    rows = rows[some(rows, 0.7)].assign(flow=rows["flow"] * 1.25)
    profile = profiled(rows, month, tmp_path)

    def columns(**floors: float) -> set[str]:
        rules = CONTRACT.quality.model_validate(floors)
        return {finding.column for finding in judge(profile, history, rules=rules).findings}

    assert columns() == {"depth"}
    assert columns(missing=0.5) == set()
    assert columns(missing=0.5, unit=1.1, volume=1.1) == {"flow", "days"}


def test_young_rows_without_a_label_are_no_broken_data(history: list[Profile], tmp_path: Path) -> None:
    month, target = Month(2026, 5), CONTRACT.target.model_copy(update={"matures_after_days": 20.0})
    rows = table(month)
    rows["load"] = rows["load"].mask(rows["at"].dt.day > 10)
    assert judge(profiled(rows, month, tmp_path), history).findings
    contract = CONTRACT.model_copy(update={"target": target})
    assert judge(profiled(rows, month, tmp_path, contract), history, min_kept_share=0.5).findings == ()


def test_a_window_of_live_rows_is_judged_likewise() -> None:
    def rows(seed: int) -> pd.DataFrame:
        made = table(Month(2026, 5), 250 / 31, seed)
        return (
            made.rename(columns={"at": EVENT_AT})
            .drop(columns="load")
            .assign(**{EVENT_AT: made["at"].dt.tz_localize("UTC")})
        )

    before = [profile_of(CONTRACT, rows(seed)) for seed in range(20)]

    def found(change: Change) -> list[tuple[str, str]]:
        return [
            (one.name, one.column) for one in judge_part(profile_of(CONTRACT, change(rows(99))), before, {}).findings
        ]

    assert found(WORLD["as before"]) == found(WORLD["a boolean moves from 20 to 80 %"]) == []
    assert found(WORLD["a new plan beside the others"]) == []
    assert found(BROKEN["kilometres"][0]) == [("unit change", "flow")]
    assert found(BROKEN["all in capitals"][0]) == [("unseen categories", "plan")]


def test_a_profile_comes_back_from_json_as_it_was(history: list[Profile]) -> None:
    assert Profile.from_json(json.loads(json.dumps(history[0].to_json()))) == history[0]
