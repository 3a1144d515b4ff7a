"""The clients of a soak tell what goes wrong: `benchmarks/soaking` counts on them."""

from pathlib import Path

import httpx

from autoops.settings import Settings
from benchmarks.soaking import mix
from benchmarks.soaking.client import FAILURES, as_fast_as_answered, paced
from benchmarks.soaking.ledger import ACKNOWLEDGED, Arrays, Ledger
from benchmarks.soaking.report import failures
from tests.integration.serving.conftest import Start
from tests.integration.serving.test_overload import stalled
from tests.ports import free_port

CYCLES = 11
"""Labels of every kind are sent in them."""

REQUESTS = CYCLES * mix.REQUESTS


def play(api: httpx.Client, folder: Path, first: int = 0, requests: int = REQUESTS) -> Arrays:
    assert api.base_url.port
    asked = paced(api.base_url.port, folder, first, rate=1e6, began=0, for_s=requests / 1e6)
    assert asked.requests == first + requests
    return Ledger(folder).arrays(asked.requests)


def test_what_is_granted_is_acknowledged(api: httpx.Client, tmp_path: Path) -> None:
    asked = play(api, tmp_path)
    assert failures(asked) == {}
    assert asked.acknowledged[: CYCLES * mix.TRIPS].all()
    assert set(asked.versions[: CYCLES * mix.TRIPS]) == {1}
    assert (asked.labels == ACKNOWLEDGED).sum() > CYCLES * mix.LABELS / 2
    assert (asked.answers["seconds"] > 0).all()
    assert not (tmp_path / FAILURES).exists()


def test_what_is_asked_again_gets_its_answer_only_where_it_has_a_name(api: httpx.Client, tmp_path: Path) -> None:
    play(api, tmp_path)
    wrong = set(failures(play(api, tmp_path)))
    assert wrong == {f"{kind} wrong answer" for kind in ("plain", "rows", "columns", "arrow")}
    assert "had another answer before" in (tmp_path / FAILURES).read_text()


def test_what_is_refused_is_counted_by_kind(start: Start, settings: Settings, tmp_path: Path) -> None:
    api = start(timeout_s=0.5)
    with stalled(settings):
        refused = failures(play(api, tmp_path, requests=mix.REQUESTS))
    kinds = ("named", "plain", "again", "rows", "columns", "arrow", "early", "late")
    assert set(refused) == {f"{kind} 503" for kind in kinds}
    assert refused["plain 503"] == 38


def test_what_nobody_answers_is_counted(tmp_path: Path) -> None:
    asked = as_fast_as_answered(free_port(), tmp_path, 0, for_s=0.05)
    unanswered = failures(Ledger(tmp_path).arrays(asked.requests))
    assert sum(unanswered.values()) == asked.requests > 0
    assert all(kind.endswith("no answer") for kind in unanswered)
