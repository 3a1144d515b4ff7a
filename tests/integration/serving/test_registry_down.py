import httpx
import sqlalchemy as sa

from autoops.models.registry import CHAMPION
from autoops.settings import Settings
from tests.eventually import eventually
from tests.fakes import FakeRegistry
from tests.integration.serving.conftest import TRIP, Start
from tests.integration.serving.test_bad_input import problem_of


def info(api: httpx.Client) -> dict[str, object]:
    return dict(api.get("/model/info").json())


def test_a_registry_that_goes_away_changes_nothing_but_is_told(api: httpx.Client, registry: FakeRegistry) -> None:
    registry.down = True
    eventually(lambda: info(api)["last_error"])
    assert api.post("/predict", json=TRIP).json()["model_version"] == 1
    assert info(api)["failed_version"] is None
    registry.down = False
    eventually(lambda: info(api)["last_error"] is None)


def test_a_start_without_the_registry_serves_what_was_served_last(start: Start, registry: FakeRegistry) -> None:
    registry.set_alias(CHAMPION, 2)
    before = start().post("/predict", json=TRIP).json()
    registry.down = True
    api = start()
    after = api.post("/predict", json=TRIP).json()
    assert (after["model_version"], after["trip_duration_minutes"]) == (2, before["trip_duration_minutes"])
    assert info(api)["source"] == "cache"
    assert "down" in str(info(api)["last_error"])
    assert 'autoops_model_reloads_total{outcome="from_cache"} 1.0' in api.get("/metrics").text

    registry.down = False
    eventually(lambda: info(api)["source"] == "registry")
    assert info(api)["last_error"] is None


def test_a_version_from_the_cache_gives_way_when_the_registry_is_back(start: Start, registry: FakeRegistry) -> None:
    start()
    registry.down = True
    api = start()
    registry.aliases[CHAMPION] = 3
    registry.down = False
    eventually(lambda: info(api)["model_version"] == 3)
    assert (info(api)["previous_version"], info(api)["source"]) == (1, "registry")


def test_a_broken_champion_at_start_does_not_stop_the_one_before(start: Start, registry: FakeRegistry) -> None:
    start()
    registry.tag(2, {"bundle_digest": "0" * 64})
    registry.set_alias(CHAMPION, 2)
    api = start()
    assert (info(api)["model_version"], info(api)["source"], info(api)["failed_version"]) == (1, "cache", 2)


def test_a_damaged_cache_is_not_served(start: Start, registry: FakeRegistry, settings: Settings) -> None:
    start()
    registry.down = True
    for model in (settings.storage.home / "models").glob("*/model.onnx"):
        model.write_bytes(b"damaged")
    api = start(ready=False)
    eventually(lambda: info(api)["last_error"])
    assert info(api)["model_version"] is None


def test_a_pinned_version_is_not_replaced_by_another_from_the_cache(start: Start, registry: FakeRegistry) -> None:
    start()
    registry.down = True
    api = start(ready=False, model_version=2)
    eventually(lambda: info(api)["last_error"])
    assert info(api)["model_version"] is None


def test_with_nothing_to_serve_it_is_alive_and_becomes_ready(
    start: Start, registry: FakeRegistry, engine: sa.Engine
) -> None:
    registry.down = True
    api = start(ready=False)
    assert api.get("/health").is_success
    eventually(lambda: info(api)["last_error"])
    for answer in (
        api.get("/ready"),
        api.post("/predict", json=TRIP),
        api.post("/predict/batch", json={"trips": [TRIP]}),
    ):
        assert "no model version is loaded" in problem_of(answer, 503).detail
        assert int(answer.headers["retry-after"]) >= 1
    assert info(api)["model_version"] is None
    registry.down = False
    eventually(lambda: api.get("/ready").is_success)
    assert api.post("/predict", json=TRIP).json()["model_version"] == 1


def test_without_a_champion_it_says_what_to_do(start: Start, registry: FakeRegistry) -> None:
    registry.aliases.clear()
    api = start(ready=False)
    eventually(lambda: info(api)["last_error"])
    assert "promote" in str(info(api)["last_error"])
    registry.set_alias(CHAMPION, 1)
    eventually(lambda: api.get("/ready").is_success)
