"""Who may look and act, and what no page of another site can do."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from autoops.errors import SettingsError
from autoops.loop.context import Context
from autoops.serving.auth.keys import Keys
from autoops.serving.auth.keys_file import add_key, new_secret
from autoops.settings import Settings
from autoops.web.app import create_app, keys_of
from autoops.web.sessions import COOKIE, LASTS
from tests.integration.one_process import context_in

OWN = {"origin": "http://localhost"}
FREEZE = {"reason": "we move house"}


@pytest.fixture
def context(tmp_path: Path, settings: Settings, engine: sa.Engine) -> Context:
    return context_in(tmp_path, settings, engine)


def client_of(context: Context, keys: Keys | None = None) -> TestClient:
    app = create_app(context, keys, "cli:tester")
    return TestClient(app, base_url="http://localhost", follow_redirects=False)


@pytest.fixture
def secrets(context: Context, tmp_path: Path) -> Mapping[str, str]:
    made = {name: new_secret() for name in ("ops", "viewer")}
    for name, secret in made.items():
        scopes = ["admin"] if name == "ops" else ["predict"]
        add_key(tmp_path / "keys.json", name, scopes, context.clock.now(), secret=secret)
    return made


def test_without_keys_the_user_of_the_machine_acts(context: Context) -> None:
    client = client_of(context)
    assert client.get("/").status_code == 200
    assert client.post("/act/freeze", data=FREEZE, headers=OWN).status_code == 200
    assert context.ledger.entries(kind="frozen")[0].actor == "cli:tester"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        OWN | {"sec-fetch-site": "cross-site"},
        OWN | {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_causes_nothing(context: Context, headers: dict[str, str]) -> None:
    assert client_of(context).post("/act/freeze", data=FREEZE, headers=headers).status_code == 403
    assert context.ledger.entries(kind="frozen") == []


@pytest.mark.parametrize(
    ("host", "status"), [("localhost:8010", 200), ("127.0.0.1", 200), ("[::1]:8010", 200), ("evil.example", 403)]
)
def test_without_keys_it_answers_to_this_machines_names_alone(context: Context, host: str, status: int) -> None:
    assert client_of(context).get("/", headers={"host": host}).status_code == status


@pytest.mark.parametrize("path", ["/", "/events", "/ask/ledger", "/report/1", "/act/freeze"])
def test_with_keys_nothing_is_shown_before_the_sign_in(
    context: Context, tmp_path: Path, secrets: Mapping[str, str], path: str
) -> None:
    client = client_of(context, Keys(tmp_path / "keys.json"))
    response = client.get(path)
    assert response.status_code in (303, 401)
    assert client.get("/health").status_code == 200
    assert client.post("/act/freeze", data=FREEZE, headers=OWN).status_code == 401


def signed_in(context: Context, tmp_path: Path, secret: str) -> TestClient:
    client = client_of(context, Keys(tmp_path / "keys.json"))
    response = client.post("/sign-in", data={"key": secret}, headers=OWN)
    assert response.status_code == 303
    assert "httponly" in response.headers["set-cookie"].lower()
    assert "samesite=strict" in response.headers["set-cookie"].lower()
    assert secret not in response.headers["set-cookie"]
    return client


def test_a_key_without_the_scope_admin_looks_and_does_not_act(
    context: Context, tmp_path: Path, secrets: Mapping[str, str]
) -> None:
    client = signed_in(context, tmp_path, secrets["viewer"])
    assert client.get("/").status_code == 200
    assert client.post("/act/freeze", data=FREEZE, headers=OWN).status_code == 403
    assert client.get("/ask/why", params={"id": "x"}).status_code == 422
    assert context.ledger.entries(kind="frozen") == []


def test_a_session_ends_with_its_time_its_key_and_its_sign_out(
    context: Context, tmp_path: Path, secrets: Mapping[str, str]
) -> None:
    client = signed_in(context, tmp_path, secrets["ops"])
    token = client.cookies[COOKIE]
    assert client.post("/sign-out", headers=OWN).status_code == 303
    client.cookies.set(COOKIE, token)
    assert client.get("/").status_code == 303

    client = signed_in(context, tmp_path, secrets["ops"])
    context.clock.advance(seconds=LASTS.total_seconds() + 1)  # type: ignore[attr-defined]
    assert client.get("/").status_code == 303

    client = signed_in(context, tmp_path, secrets["ops"])
    assert client.get("/").status_code == 200
    add_key(tmp_path / "keys.json", "ops", [], context.clock.now(), secret=secrets["ops"], replace=True)
    assert client.get("/").status_code == 303, "its scope was taken away"


def test_a_wrong_key_is_refused(context: Context, tmp_path: Path, secrets: Mapping[str, str]) -> None:
    client = client_of(context, Keys(tmp_path / "keys.json"))
    assert client.post("/sign-in", data={"key": new_secret()}, headers=OWN).status_code == 401
    assert client.post("/sign-in", data={"key": secrets["ops"]}).status_code == 403, "a foreign page signs nobody in"


def test_other_machines_need_a_sign_in(settings: Settings) -> None:
    console = settings.console.model_copy(update={"host": "0.0.0.0"})
    with pytest.raises(SettingsError, match=r"console\.host.*security\.keys_file"):
        keys_of(settings.model_copy(update={"console": console}))
    assert keys_of(settings) is None


@pytest.mark.parametrize("path", ["/", "/static/console.css", "/ask/ledger", "/nothing"])
def test_every_response_forbids_what_the_page_does_not_need(context: Context, path: str) -> None:
    headers = client_of(context).get(path).headers
    assert "script-src 'self';" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("verb", "form", "told"),
    [
        ("freeze", {}, "say why"),
        ("close", FREEZE | {"incident": "99"}, "incident 99"),
        ("close", FREEZE | {"incident": "x"}, "is no number"),
        ("approve", FREEZE | {"incident": "99"}, "incident 99"),
        ("release", FREEZE | {"month": "2022-13"}, "2022-13"),
        ("roll-back", FREEZE, "expected a number"),
        ("retrain", FREEZE, "no such action"),
        ("dance", FREEZE, "no such action"),
    ],
)
def test_what_cannot_be_done_is_said_on_the_page(context: Context, verb: str, form: dict[str, str], told: str) -> None:
    page = client_of(context).post(f"/act/{verb}", data=form, headers=OWN).text
    assert "Not done" in page
    assert told in page


@pytest.mark.parametrize("query", ["kind=odd", "incident=x", "version=99999999999", "before=-1"])
def test_a_question_that_makes_no_sense_is_refused(context: Context, query: str) -> None:
    assert client_of(context).get(f"/ask/ledger?{query}").status_code == 422


def test_the_ledger_is_read_page_by_page(context: Context) -> None:
    for number in range(30):
        context.ledger.record("page", f"reason {number:02}", actor="test", model_version=number % 2)
    client = client_of(context)
    page = client.get("/ask/ledger?version=1&kind=page").text
    assert page.count("reason") == 15
    first = client.get("/ask/ledger").text
    assert first.count("reason") == 25
    assert client.get(f"/ask/ledger?before={30 - 25 + 1}").text.count("reason") == 5


def test_a_report_is_shown_from_the_folder_of_reports_alone(context: Context, tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_text("secret")
    context.reports.mkdir(parents=True)
    (context.reports / "drift.html").write_text("report")
    client = client_of(context)
    for file, status in ((tmp_path / "secret.html", 404), (context.reports / "drift.html", 200)):
        files = {"files": [str(file)]}
        check = context.checks.append(
            model_version=1,
            verdict="drift",
            alarm=True,
            reason="",
            event_from=None,
            event_until=None,
            last_prediction_id=None,
            last_label_id=None,
            report=files,
        )
        response = client.get(f"/report/{check}")
        assert response.status_code == status
    assert response.headers["content-security-policy"].startswith("sandbox allow-scripts;")
