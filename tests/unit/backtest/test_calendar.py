"""Which month is served when, and what is known by then."""

import pytest

from autoops.backtest.calendar import publications, steps
from autoops.errors import InputError
from autoops.months import parse_months

YEAR = parse_months("2022-01..2022-12")


def simulated(lag: int, months: str = "2022-01..2022-12") -> list[tuple[str, str | None]]:
    return [
        (str(step.month), str(step.published) if step.published else None)
        for step in steps(parse_months(months), 3, lag)
    ]


def test_without_a_lag_a_month_comes_out_at_its_own_end() -> None:
    assert simulated(0, "2022-01..2022-06") == [("2022-04", "2022-04"), ("2022-05", "2022-05"), ("2022-06", None)]


def test_two_months_late_the_months_of_version_1_come_out_no_second_time() -> None:
    assert simulated(2, "2022-01..2022-07") == [
        ("2022-04", None),
        ("2022-05", None),
        ("2022-06", "2022-04"),
        ("2022-07", None),
    ]


def test_every_lag_is_judged_on_the_same_months() -> None:
    assert [month for month, _ in simulated(0)] == [month for month, _ in simulated(2)]


def test_a_month_comes_out_once_and_in_order_across_a_new_year() -> None:
    out = [published for _, published in simulated(2, "2022-10..2023-09") if published]
    assert out == ["2023-01", "2023-02", "2023-03", "2023-04", "2023-05", "2023-06"]


@pytest.mark.parametrize(("lag", "count"), [(0, 8), (1, 7), (2, 6), (8, 0), (20, 0)])
def test_later_labels_leave_fewer_publications_to_act_on(lag: int, count: int) -> None:
    assert len(publications(steps(YEAR, 3, lag))) == count


@pytest.mark.parametrize(
    ("months", "lag", "said"),
    [
        ("2022-01..2022-03", 0, "none of 3 is left"),
        ("2022-01..2022-04,2022-06", 0, "consecutive"),
        ("2022-01..2022-06", -1, "label lag"),
    ],
)
def test_what_cannot_be_walked_is_refused(months: str, lag: int, said: str) -> None:
    with pytest.raises(InputError, match=said):
        steps(parse_months(months), 3, lag)
