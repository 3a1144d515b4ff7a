"""Sentences of a report are true of the numbers beside them."""

from collections.abc import Mapping
from typing import Any

import pytest

from autoops.ingestion.quality import Finding, Quality
from autoops.loop.data.live_quality import _findings
from autoops.loop.reports.report import _grew
from tests.taxi import CONTRACT


def group(name: str, before: float, now: float, stands_out: bool) -> dict[str, Any]:
    return {"name": name, "rows": 40, "absolute_before": before, "absolute": now, "stands_out": stands_out}


def told(before: float, now: float, groups: list[Mapping[str, Any]]) -> str:
    error = {
        **{"rows": 900, "signed": -1.0, "signed_before": 0.1, "absolute_before": before, "absolute": now},
        **{"groups": groups, "zones": []},
    }
    return "\n".join(_grew({"cause": {"features": [], "error": error}}, CONTRACT))


@pytest.mark.parametrize(
    ("before", "now", "groups", "said", "unsaid"),
    [
        (3.14, 2.84, [], "It did not grow", "It grew"),
        (2.84, 3.14, [], "It grew about as much everywhere", "same factor"),
        (2.0, 4.0, [group("hours 0-6", 2, 8, True)], "It grew more than elsewhere in hours 0-6 (+300%)", "fell"),
        (4.0, 2.0, [group("hours 0-6", 4, 3, True)], "It fell less than elsewhere in hours 0-6 (-25%)", "It grew"),
    ],
)
def test_what_is_said_of_the_error_is_what_it_did(
    before: float, now: float, groups: list[Mapping[str, Any]], said: str, unsaid: str
) -> None:
    text = told(before, now, groups)
    assert said in text
    assert unsaid not in text


def test_a_part_with_two_findings_of_one_kind_is_one_part() -> None:
    twice = Quality(tuple(Finding("null surge", "miles", 0.5, None, f"finding {n}") for n in (1, 2)), 12)
    (found,) = _findings([(twice, "labelled trips")] * 4)
    assert found.reason.endswith("(in 4 of 4 parts of the labelled trips)")
