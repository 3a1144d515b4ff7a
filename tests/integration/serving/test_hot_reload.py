import asyncio
import itertools
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from autoops.models.bundle import GOLDEN, MODEL
from autoops.models.registry import CHAMPION
from autoops.serving.model.trial import Bounds, Cancellation, in_process
from autoops.storage.predictions import LogSelection, PredictionLog
from tests.bundles import make_endless
from tests.eventually import eventually
from tests.fakes import FakeRegistry
from tests.integration.serving.conftest import POLL_S, TRIP, Start


def minutes_by_version(api: httpx.Client, registry: FakeRegistry, versions: tuple[int, ...]) -> dict[int, float]:
    """What each version answers to TRIP."""
    answers = {}
    for version in versions:
        registry.set_alias(CHAMPION, version)
        api.post("/model/reload")
        answer = api.post("/predict", json=TRIP).json()
        assert answer["model_version"] == version
        answers[version] = answer["trip_duration_minutes"]
    return answers


def serves(api: httpx.Client, version: int) -> bool:
    return bool(api.get("/model/info").json()["model_version"] == version)


def test_moving_the_alias_is_enough(api: httpx.Client, registry: FakeRegistry) -> None:
    registry.set_alias(CHAMPION, 2)
    eventually(lambda: serves(api, 2))
    info = api.get("/model/info").json()
    assert (info["previous_version"], info["source"], info["last_error"]) == (1, "registry", None)
    assert api.post("/predict", json=TRIP).json()["model_version"] == 2


def test_a_reload_does_not_wait_for_the_poll(start: Start, registry: FakeRegistry) -> None:
    api = start(poll_interval_s=3600)
    registry.set_alias(CHAMPION, 2)
    answer = api.post("/model/reload").json()
    assert answer == {"model_version": 2, "swapped": True, "outcome": "swapped", "last_error": None}
    assert api.post("/model/reload").json()["outcome"] == "unchanged"


async def _keep_asking(client: httpx.AsyncClient, until: asyncio.Event, answers: list[httpx.Response]) -> None:
    while not until.is_set():
        answers.append(await client.post("/predict", json=TRIP))


async def _swap_under_load(url: str, registry: FakeRegistry, swaps: int, connections: int) -> list[httpx.Response]:
    answers: list[httpx.Response] = []
    done = asyncio.Event()
    limits = httpx.Limits(max_connections=connections)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
        asking = [asyncio.create_task(_keep_asking(client, done, answers)) for _ in range(connections)]
        for version in itertools.islice(itertools.cycle((2, 3, 1)), swaps):
            registry.set_alias(CHAMPION, version)
            while (await client.get("/model/info")).json()["model_version"] != version:
                await asyncio.sleep(POLL_S)
        done.set()
        await asyncio.gather(*asking)
    return answers


def test_twenty_swaps_under_sixteen_connections_lose_nothing_and_mix_nothing(
    api: httpx.Client, registry: FakeRegistry, engine: sa.Engine
) -> None:
    minutes = minutes_by_version(api, registry, (2, 3, 1))
    assert len(set(minutes.values())) == 3
    before = sum(PredictionLog(engine).count(LogSelection(version)) for version in minutes)
    answers = asyncio.run(_swap_under_load(str(api.base_url), registry, swaps=20, connections=16))
    assert {answer.status_code for answer in answers} == {200}
    bodies = [answer.json() for answer in answers]
    assert {body["model_version"] for body in bodies} == {1, 2, 3}
    for body in bodies:
        assert body["trip_duration_minutes"] == pytest.approx(minutes[body["model_version"]], abs=1e-9)
    after = sum(PredictionLog(engine).count(LogSelection(version)) for version in minutes)
    assert after - before == len(answers)


def test_going_back_is_instant(start: Start, registry: FakeRegistry) -> None:
    api = start(poll_interval_s=3600)
    registry.set_alias(CHAMPION, 2)
    api.post("/model/reload")
    downloads = registry.calls["download_bundle"]
    registry.set_alias(CHAMPION, 1)
    began = time.perf_counter()
    assert api.post("/model/reload").json()["outcome"] == "reverted"
    assert time.perf_counter() - began < 0.5
    assert registry.calls["download_bundle"] == downloads
    info = api.get("/model/info").json()
    assert (info["model_version"], info["previous_version"]) == (1, 2)


def _truncate_model(registry: FakeRegistry) -> None:
    path = registry.bundle_of(2) / MODEL
    path.write_bytes(path.read_bytes()[:1000])


def _lose_golden_rows(registry: FakeRegistry) -> None:
    (registry.bundle_of(2) / GOLDEN).unlink()


def _lose_everything(registry: FakeRegistry) -> None:
    registry.bundle_of(2).rename(registry.directory / "elsewhere")


def _forge_digest(registry: FakeRegistry) -> None:
    registry.tag(2, {"bundle_digest": "0" * 64})


@pytest.mark.parametrize(
    ("harm", "why"),
    [
        (_truncate_model, "model.onnx"),
        (_lose_golden_rows, "golden.parquet"),
        (_lose_everything, "no bundle"),
        (_forge_digest, "digest"),
    ],
)
def test_a_broken_version_leaves_the_old_one_serving_and_says_why(
    api: httpx.Client, registry: FakeRegistry, harm: object, why: str
) -> None:
    harm(registry)  # type: ignore[operator]
    registry.set_alias(CHAMPION, 2)
    eventually(lambda: api.get("/model/info").json()["last_error"])
    info = api.get("/model/info").json()
    assert (info["model_version"], info["failed_version"]) == (1, 2)
    assert why in info["last_error"]
    assert info["last_error_at"]
    assert api.post("/predict", json=TRIP).json()["model_version"] == 1
    assert api.get("/ready").is_success
    lines = api.get("/metrics").text.splitlines()
    assert 'autoops_model_reloads_total{outcome="failed"} 1.0' in lines
    assert "autoops_model_reload_failing 1.0" in lines


def test_a_broken_version_is_not_downloaded_again_and_again(api: httpx.Client, registry: FakeRegistry) -> None:
    whole = (registry.bundle_of(2) / MODEL).read_bytes()
    _truncate_model(registry)
    registry.set_alias(CHAMPION, 2)
    eventually(lambda: api.get("/model/info").json()["last_error"])
    looks, downloads = registry.calls["by_alias"], registry.calls["download_bundle"]
    eventually(lambda: registry.calls["by_alias"] > looks + 5)
    assert registry.calls["download_bundle"] == downloads
    info = api.get("/model/info").json()
    assert info["last_error"]
    assert [(bad["model_version"], bad["reason"]) for bad in info["quarantined"]] == [(2, info["last_error"])]
    assert "autoops_quarantined_versions 1.0" in api.get("/metrics").text

    answer = api.post("/model/reload").json()
    assert (answer["outcome"], answer["model_version"], answer["swapped"]) == ("failed", 1, False)
    assert "model.onnx" in answer["last_error"]
    assert registry.calls["download_bundle"] == downloads + 1

    (registry.bundle_of(2) / MODEL).write_bytes(whole)
    assert api.post("/model/reload").json()["outcome"] == "swapped"
    info = api.get("/model/info").json()
    assert (info["last_error"], info["quarantined"]) == (None, [])


def test_a_version_over_the_budget_is_not_downloaded_and_the_old_one_goes_on(
    start: Start, registry: FakeRegistry
) -> None:
    size = (registry.bundle_of(2) / MODEL).stat().st_size
    api = start(max_model_mb=size / 1e6 + 0.01)
    (registry.bundle_of(2) / MODEL).write_bytes(bytes(size + 100_000))
    downloads = registry.calls["download_bundle"]
    registry.set_alias(CHAMPION, 2)
    eventually(lambda: api.get("/model/info").json()["last_error"])
    assert "serving.max_model_mb" in api.get("/model/info").json()["last_error"]
    assert registry.calls["download_bundle"] == downloads
    assert api.post("/predict", json=TRIP).json()["model_version"] == 1


def test_moving_on_from_a_broken_version_clears_the_error(api: httpx.Client, registry: FakeRegistry) -> None:
    _truncate_model(registry)
    registry.set_alias(CHAMPION, 2)
    eventually(lambda: api.get("/model/info").json()["last_error"])
    registry.set_alias(CHAMPION, 3)
    eventually(lambda: serves(api, 3))
    assert api.get("/model/info").json()["last_error"] is None


def test_the_newest_version_that_passed_the_gate_may_be_followed(start: Start, registry: FakeRegistry) -> None:
    registry.tag(1, {"gate_decision": "promote"})
    registry.tag(2, {"gate_decision": "promote"})
    registry.tag(3, {"gate_decision": "reject"})
    api = start(model_version="latest")
    assert serves(api, 2)
    registry.tag(2, {"rolled_back": "true"})
    eventually(lambda: serves(api, 1))
    registry.tag(3, {"gate_decision": "promote"})
    eventually(lambda: serves(api, 3))


def test_a_pinned_version_stays(start: Start, registry: FakeRegistry) -> None:
    api = start(model_version=2)
    registry.set_alias(CHAMPION, 3)
    assert api.post("/model/reload").json()["outcome"] == "unchanged"
    assert serves(api, 2)
    assert api.get("/model/info").json()["follows"] == "2"


def tried_if_endless(model: Path, rows: Any, bounds: Bounds, cancellation: Cancellation) -> None:
    if b"endless" in model.read_bytes():
        in_process(model, rows, bounds, cancellation)


def test_a_version_that_never_answers_is_blocked_and_the_next_one_taken(start: Start, registry: FakeRegistry) -> None:
    api = start(trial=tried_if_endless, load_timeout_s=3)
    registry.tag(2, {"bundle_digest": make_endless(registry.bundle_of(2))})
    registry.set_alias(CHAMPION, 2)
    answer = api.post("/model/reload").json()
    assert (answer["outcome"], answer["model_version"]) == ("failed", 1)
    assert "does not load and answer within 3 s (serving.load_timeout_s)" in answer["last_error"]
    assert [bad["model_version"] for bad in api.get("/model/info").json()["quarantined"]] == [2]
    registry.set_alias(CHAMPION, 3)
    eventually(lambda: serves(api, 3))
