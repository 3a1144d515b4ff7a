"""Without a key nothing but health is answered, and with one no more than it is for."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from autoops.clock import SystemClock
from autoops.serving.app import create_app
from autoops.serving.auth.keys_file import revoke_key
from autoops.settings import Settings
from autoops.storage.instances import Instances
from autoops.storage.predictions import LogSelection, PredictionLog
from tests.eventually import eventually
from tests.fakes import FakeRegistry
from tests.integration.serving.conftest import TRIP
from tests.integration.serving.keyed import Keyed, give_key, keyed_api
from tests.integration.serving.test_bad_input import problem_of

LABELS = {"labels": [{"request_id": "x", "trip_duration_minutes": 9}]}
ASKED = {
    "/predict": ("POST", TRIP),
    "/predict/batch": ("POST", {"trips": [TRIP]}),
    "/ground-truth": ("POST", LABELS),
    "/model/reload": ("POST", None),
    "/model/info": ("GET", None),
    "/metrics": ("GET", None),
}
LOOKS = {"/model/info", "/metrics"}
ALLOWED = {
    "predict": {"/predict", "/predict/batch"} | LOOKS,
    "feedback": {"/ground-truth"} | LOOKS,
    "admin": {"/model/reload"} | LOOKS,
    "": LOOKS,
}
PAGES = ("/docs", "/docs/assets/start.js", "/docs/assets/swagger-ui-bundle.js", "/openapi.json")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def secrets(file: Path) -> dict[str, str]:
    """By the one scope that each has; that of "" has none."""
    return {scope: give_key(file, f"key-{scope}", *([scope] if scope else [])) for scope in ALLOWED}


@pytest.fixture
def api(
    settings: Settings, registry: FakeRegistry, engine: sa.Engine, file: Path, secrets: dict[str, str]
) -> Iterator[Keyed]:
    with keyed_api(settings, registry, engine, file) as keyed:
        yield keyed


def test_without_a_key_nothing_but_health_is_answered(api: Keyed, secrets: dict[str, str]) -> None:
    document = api.ask(secrets[""], "GET", "/openapi.json").json()
    known = [(method.upper(), path) for path, methods in document["paths"].items() for method in methods]
    assert {path for _, path in known} == ASKED.keys() | {"/health", "/ready"}
    others = [("GET", path) for path in PAGES] + [("GET", "/nothing"), ("POST", "/nothing"), ("POST", "/health/")]
    for method, path in [*known, *others]:
        answer = api.ask(None, method, path)
        if path in ("/health", "/ready"):
            assert answer.status_code == 200
        else:
            assert problem_of(answer, 401).detail == "a key is needed"
            assert "Auto-Ops" in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("scope", ALLOWED)
def test_a_key_is_for_what_its_scope_says(api: Keyed, secrets: dict[str, str], scope: str) -> None:
    for path, (method, body) in ASKED.items():
        answer = api.ask(secrets[scope], method, path, json=body)
        if path in ALLOWED[scope]:
            assert answer.status_code == 200, path
        else:
            assert problem_of(answer, 403).detail.startswith(f"the key key-{scope} has not the scope ")
    assert api.ask(secrets[scope], "GET", "/nothing").status_code == 404
    assert api.ask(secrets[scope], "POST", "/nothing").status_code == (404 if scope == "admin" else 403)


@pytest.mark.parametrize("scope", ALLOWED)
def test_a_path_is_asked_for_exactly_or_not_found(api: Keyed, secrets: dict[str, str], scope: str) -> None:
    """A line's end behind it made it another path for keys and the same for routes."""
    for path, (method, body) in ASKED.items():
        for nearly in (f"{path}%0A", f"{path}%0D%0A", f"{path}%00"):
            answer = api.ask(secrets[scope], method, nearly, json=body)
            assert answer.status_code == (404 if scope == "admin" or method == "GET" else 403), nearly


def test_what_is_nearly_a_key_is_none(api: Keyed, secrets: dict[str, str]) -> None:
    secret = secrets["predict"]
    for value in (
        f"Bearer {secret[:-1]}",
        f"Bearer {secret}x",
        f"Bearer {secret} {secret}",
        f"Token {secret}",
        secret,
        "Bearer",
        "Bearer ü".encode(),
        "Basic !",
        "Basic " + base64.b64encode(f"any:{secret}".encode()).decode(),
    ):
        answer = api.client.post("/predict", json=TRIP, headers={"Authorization": value})
        assert problem_of(answer, 401)
    assert api.client.post("/predict", json=TRIP, headers={"Authorization": f"bearer  {secret}"}).is_success
    assert problem_of(api.ask(None, "POST", "/predict", json=TRIP, params={"key": secret}), 401)


def test_a_browser_opens_the_pages_with_a_key_as_the_password_and_nothing_else(
    api: Keyed, secrets: dict[str, str]
) -> None:
    """It would send the password along with whatever another site makes it ask."""
    signed = httpx.BasicAuth("any", secrets["admin"])
    for page in PAGES:
        assert api.ask(None, "GET", page).headers["WWW-Authenticate"].startswith("Basic ")
        assert api.client.get(page, auth=signed).status_code == 200
        assert api.client.get(page, auth=httpx.BasicAuth("any", "wrong")).status_code == 401
    for path, (method, _) in ASKED.items():
        assert api.client.request(method, path, auth=signed).status_code == 401


def test_keys_change_while_the_api_runs(api: Keyed, secrets: dict[str, str]) -> None:
    new = give_key(api.file, "new", "predict")
    eventually(lambda: api.ask(new, "POST", "/predict", json=TRIP).is_success)
    assert api.ask(secrets["predict"], "POST", "/predict", json=TRIP).is_success
    revoke_key(api.file, "key-predict")
    eventually(lambda: api.ask(secrets["predict"], "POST", "/predict", json=TRIP).status_code == 401)
    assert api.ask(new, "POST", "/predict", json=TRIP).is_success


def test_refusals_are_counted(api: Keyed, secrets: dict[str, str]) -> None:
    api.ask(None, "POST", "/predict", json=TRIP)
    api.ask(secrets[""], "POST", "/predict", json=TRIP)
    counted = [line for line in api.ask(secrets[""], "GET", "/metrics").text.splitlines() if 'route="/predict"' in line]
    for status in ("401", "403"):
        assert any(f'status="{status}"' in line and line.endswith(" 1.0") for line in counted)


def test_a_key_that_asks_too_often_waits(
    settings: Settings, registry: FakeRegistry, engine: sa.Engine, file: Path
) -> None:
    slow, other = give_key(file, "slow", "predict", rate_limit="3/day"), give_key(file, "other", "predict")
    with keyed_api(settings, registry, engine, file, rate_limit="5/day") as api:
        for secret, most in ((slow, 3), (other, 5)):
            assert [api.ask(secret, "POST", "/predict", json=TRIP).status_code for _ in range(most)] == [200] * most
            refused = api.ask(secret, "POST", "/predict", json=TRIP)
            assert "rate" in problem_of(refused, 429).detail
            assert 1 <= int(refused.headers["Retry-After"]) <= 2 * 86_400
        assert api.client.get("/ready").is_success


def test_the_document_says_what_is_asked_for_and_only_then(
    api: Keyed, secrets: dict[str, str], settings: Settings, registry: FakeRegistry, engine: sa.Engine
) -> None:
    document = api.ask(secrets[""], "GET", "/openapi.json").json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    operations = {path: operation for path, one in document["paths"].items() for operation in one.values()}
    wanted = {path: operation["security"] for path, operation in operations.items()}
    assert wanted["/predict"] == [{"key": ["predict"]}]
    assert wanted["/model/reload"] == [{"key": ["admin"]}]
    assert wanted["/metrics"] == [{"key": []}]
    assert wanted["/health"] == []
    assert {"401", "403", "429"} <= operations["/predict"]["responses"].keys()
    assert "401" not in operations["/health"]["responses"]


def test_without_keys_nothing_of_them_stands_around_a_request(
    settings: Settings, registry: FakeRegistry, engine: sa.Engine
) -> None:
    app = create_app(settings, registry, PredictionLog(engine), Instances(engine), SystemClock())
    (layer,) = app.user_middleware
    assert layer.kwargs["refusal"] is None
    assert "securitySchemes" not in app.openapi()["components"]


@pytest.mark.parametrize("form", ["single", "batch"])
def test_a_request_id_belongs_to_the_key_that_used_it(
    settings: Settings, registry: FakeRegistry, each_engine: sa.Engine, file: Path, form: str
) -> None:
    """Another key's equal id is another request, and so is its label; a new secret of the same name is the same key."""
    shop, other = (give_key(file, name, "predict", "feedback") for name in ("shop", "other"))
    longest = "x" * 200
    with keyed_api(settings, registry, each_engine, file) as api:

        def predict(secret: str, miles: float, status: int = 200) -> Any:
            ride = TRIP | {"request_id": longest, "trip_distance": miles}
            path, body = ("/predict", ride) if form == "single" else ("/predict/batch", {"trips": [ride]})
            answer = api.ask(secret, "POST", path, json=body)
            assert answer.status_code == status, answer.text
            return answer.json().get("predictions", [answer.json()])[0]

        first, second = predict(shop, 1.5), predict(other, 9.0)
        assert first["prediction_id"] != second["prediction_id"]
        assert not second["repeated"]
        predict(other, 1.5, status=422)
        revoke_key(file, "shop")
        rotated = give_key(file, "shop", "predict", "feedback")
        eventually(lambda: api.ask(rotated, "GET", "/model/info").is_success)
        assert predict(rotated, 1.5) == first | {"repeated": True}
        for secret, minutes in ((rotated, 7), (other, 8)):
            label = {"labels": [{"request_id": longest, "trip_duration_minutes": minutes}]}
            assert api.ask(secret, "POST", "/ground-truth", json=label).json()["attached"] == 1
    log = PredictionLog(each_engine)
    found = [(one.logged.id, one.logged.key, one.target) for one in log.latest_labelled(LogSelection(1), 9)]
    assert found == [(first["prediction_id"], "shop", 7), (second["prediction_id"], "other", 8)]
    assert [getattr(log.find(f"{key}/{longest}"), "key", None) for key in ("shop", "other", "third")] == [
        "shop",
        "other",
        None,
    ]
