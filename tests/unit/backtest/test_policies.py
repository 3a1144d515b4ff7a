"""Who retrains when."""

from pathlib import Path

import pytest

from autoops.backtest.policies import POLICIES, At, draw, policy_named
from autoops.backtest.served import Served
from autoops.backtest.study import Study
from autoops.errors import InputError
from autoops.ingestion.store import MonthStore
from autoops.months import parse_months
from autoops.settings import Settings
from autoops.usecases.taxi.clean import clean

OUT = parse_months("2022-04..2022-10")


@pytest.fixture
def served(tmp_path: Path) -> Served:
    return Served(MonthStore(tmp_path, clean), tmp_path)


@pytest.mark.parametrize(
    ("name", "months", "force"),
    [
        ("frozen", [], False),
        ("monthly", OUT, True),
        ("monthly+gate", OUT, False),
        ("every-2-months+gate", parse_months("2022-05,2022-07,2022-09"), False),
        ("blind", OUT[:2], False),
    ],
)
def test_schedules(name: str, months: list, force: bool, served: Served) -> None:
    policy = policy_named(name, OUT, served, drawn=OUT[:2])
    assert isinstance(policy, At)
    assert (list(policy.months), policy.force) == (months, force)


def test_every_policy_has_its_name_and_no_other_is_taken(served: Served) -> None:
    assert all(policy_named(name, OUT, served) for name in POLICIES)
    with pytest.raises(InputError, match=r"yearly.*oracle"):
        policy_named("yearly", OUT, served)


def test_draws_differ_by_seed_and_repeat_with_it() -> None:
    draws = [draw(OUT, 3, seed) for seed in range(20)]
    assert draws == [draw(OUT, 3, seed) for seed in range(20)]
    assert all(len(set(one)) == 3 and one == sorted(one) for one in draws)
    assert {month for one in draws for month in one} == set(OUT)
    assert draw(OUT, 99, 0) == OUT
    assert draw(OUT, 0, 0) == []


@pytest.mark.parametrize(
    ("asked", "runs"),
    [
        (("autoops",), ("frozen", "blind", "autoops")),
        (("blind",), ("frozen", "blind", "autoops")),
        (("monthly+gate", "frozen"), ("frozen", "monthly+gate")),
        (POLICIES, POLICIES),
    ],
)
def test_nothing_is_claimed_without_its_controls(asked: tuple, runs: tuple, settings: Settings, tmp_path: Path) -> None:
    assert Study(settings, tuple(OUT), (0,), asked, tmp_path).runs == runs


def test_an_unknown_policy_is_refused_before_anything_is_fetched(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="yearly"):
        _ = Study(settings, tuple(OUT), (0,), ("yearly",), tmp_path).runs
