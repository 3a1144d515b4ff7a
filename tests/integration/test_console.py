"""The console in a real browser: each state, each button, without violations of accessibility."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread

import httpx
import pytest
import sqlalchemy as sa
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright

from autoops.loop.context import Context
from autoops.loop.incidents import freeze
from autoops.loop.monitor import drift_check
from autoops.loop.retrain import retraining
from autoops.models.registry import CHAMPION
from autoops.months import Month
from autoops.services.health import complaint
from autoops.serving.auth.keys import Keys
from autoops.serving.auth.keys_file import add_key, revoke_key
from autoops.web.app import create_app
from tests.conftest import configured
from tests.eventually import eventually
from tests.fakes import FakeRegistry
from tests.integration.one_process import context_in, drive, publish, retrain, setting, small
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
CHANGE, AFTER = Month(2022, 4), Month(2022, 5)
WIDTHS = {"laptop": (1280, 800), "phone": (390, 844)}
SHOTS = os.environ.get("AUTOOPS_SCREENSHOTS")
"""A folder to which each test writes what it has seen."""

SECRET = "k" * 43


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = subprocess.run([ROOT / "scripts" / "chromium.sh"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found.stdout.strip(), args=options)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which no script or style may be refused and nothing may fail."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, complaints = context.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    # A refused key, and what the library says when the stream of a console that has ended breaks off.
    expected = ("401", "[object Event]", "ERR_CONNECTION_REFUSED")
    assert not [one for one in complaints if not any(known in one for known in expected)]


@contextmanager
def console(context: Context, keys: Keys | None = None, asked: list[str] | None = None) -> Iterator[str]:
    """Yields the address of a running console."""

    def begin(reason: str) -> str:
        assert asked is not None
        asked.append(reason)
        return "Asked for it"

    app = create_app(context, keys, "cli:tester", begin if asked is not None else None)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", timeout_graceful_shutdown=10))
    app.state.is_ending = lambda: server.should_exit
    thread = Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def look(page: Page, name: str) -> None:
    """No violation in light and dark, on a laptop and a phone; nothing is wider than the screen."""
    for device, (width, height) in WIDTHS.items():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            if SHOTS:
                page.screenshot(path=f"{SHOTS}/{name}-{device}-{scheme}.png", full_page=True)
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1280, "height": 800})


def serve(context: Context, version: int = 1) -> Context:
    """An instance that serves it for as long as a test looks."""
    context.instances.beat("a", version, context.clock.now(), context.clock.now() + timedelta(hours=1))
    return context


def press(page: Page, action: str, reason: str = "I know why") -> None:
    form = page.locator("details.action", has=page.locator("summary", has_text=action)).first
    form.locator("summary").click()
    form.get_by_label("Reason").fill(reason)
    form.get_by_role("button").click()


@pytest.fixture
def calm(context: Context, world: Path) -> Context:
    """Version 1 serves the world that it knows, and windows are judged."""
    context.clock.advance(hours=1)
    for start in (0, 1_000):
        drive(context, world, Month(2022, 3), slice(4_000 + start, 5_000 + start))
        drift_check.check(context)
        context.clock.advance(minutes=10)
    return serve(context)


@pytest.fixture
def alarmed(context: Context, world: Path, tmp_path: Path) -> tuple[Context, int]:
    """The world has changed, and an incident is open."""
    context.clock.advance(hours=1)
    for start in (0, 1_000):
        drive(context, world, CHANGE, slice(start, start + 1_000))
        found = drift_check.check(context)
        context.clock.advance(minutes=10)
    return serve(context), int(found["incident_id"])


def heal(context: Context, world: Path, tmp_path: Path, incident_id: int) -> None:
    publish(world, tmp_path, str(CHANGE))
    drift_check.check(context)
    plan = retraining.begin(context, "scheduled__2022-05-01T00:00:00+00:00", incident_id=incident_id)
    version = retraining.candidate(context, plan)
    context.clock.advance(minutes=2)
    outcome = retraining.promote(context, plan, version, retraining.gate(context, plan, version))
    if outcome["promoted"]:
        serve(context, version)
        retraining.confirm(context, plan, version, timeout_s=0)
    retraining.close(context, plan, outcome)


def test_an_empty_installation_says_the_next_step(engine: sa.Engine, tmp_path: Path, page: Page) -> None:
    with console(context_in(tmp_path, small(), engine)) as address:
        page.goto(address)
        expect(page.locator("h1")).to_contain_text("NO MODEL YET")
        expect(page.get_by_text("autoops retrain")).to_be_visible()
        expect(page.get_by_text("There has been no incident")).to_be_visible()
        look(page, "empty")


def test_a_calm_installation_is_healthy(calm: Context, page: Page) -> None:
    with console(calm) as address:
        page.goto(address)
        expect(page.locator("h1")).to_contain_text("v1")
        expect(page.locator("h1")).to_contain_text("serving 1/1")
        expect(page.locator("h1")).to_contain_text("HEALTHY")
        expect(page.locator("#why")).to_contain_text("Nothing is out of the ordinary")
        expect(page.get_by_text("Nothing waits for you")).to_be_visible()
        expect(page.locator("#now")).to_contain_text("ordinary windows stay below")
        look(page, "healthy")


def test_an_incident_is_told_from_notice_to_swap_and_the_page_follows_by_itself(
    alarmed: tuple[Context, int], world: Path, tmp_path: Path, page: Page
) -> None:
    context, incident_id = alarmed
    with console(context) as address:
        page.goto(address)
        expect(page.locator("h1")).to_contain_text(f"INCIDENT #{incident_id}")
        expect(page.get_by_role("heading", name="version 1 is wrong more than it used to be")).to_be_visible()
        expect(page.get_by_text("5 miles and more")).to_be_visible()
        look(page, "incident")
        heal(context, world, tmp_path, incident_id)
        expect(page.locator("h1")).to_contain_text("v2", timeout=20_000)
        expect(page.locator("h1")).to_contain_text("HEALTHY")
        steps = page.locator("ol.steps > li")
        expect(steps).to_have_count(6)
        for step in range(5):
            expect(steps.nth(step)).to_have_class("done")
        expect(page.get_by_role("link", name="Airflow run")).to_have_attribute(
            "href", "http://127.0.0.1:8080/dags/retrain/runs/scheduled__2022-05-01T00%3A00%3A00%2B00%3A00"
        )
        expect(page.get_by_text("on the same")).to_be_visible()
        drive(context, world, AFTER, slice(0, 1_000))
        drift_check.check(context)
        expect(page.locator(".chart.broad polyline")).to_have_count(2, timeout=20_000)
        look(page, "healed")
        page.get_by_role("link", name="wall time").click()
        expect(page.locator(".switch [aria-current]")).to_have_text("wall time")


def test_what_waits_for_approval_is_approved(
    alarmed: tuple[Context, int], world: Path, tmp_path: Path, page: Page
) -> None:
    context = setting(alarmed[0], "training", approval=True)
    heal(context, world, tmp_path, alarmed[1])
    serve(context, 2)
    with console(context) as address:
        page.goto(address)
        expect(page.get_by_text("waits for approval").first).to_be_visible()
        look(page, "approval")
        press(page, "Approve the promotion", "looks right")
        expect(page.locator("#said")).to_contain_text("Approved: version 2 promoted")
    champion = context.registry.by_alias(CHAMPION)
    assert champion is not None
    assert champion.number == 2
    (approved,) = context.ledger.entries(kind="approved")
    assert (approved.actor, approved.reason) == ("cli:tester", "looks right")


def test_an_incident_is_closed_by_hand(alarmed: tuple[Context, int], page: Page) -> None:
    context, incident_id = alarmed
    with console(context) as address:
        page.goto(address)
        press(page, f"Close incident {incident_id}", "a known holiday")
        expect(page.locator("#said")).to_contain_text("closed by hand: a known holiday")
    assert context.ledger.incident(incident_id).status == "closed"


def test_a_freeze_is_set_and_ended(calm: Context, page: Page) -> None:
    with console(calm) as address:
        page.goto(address)
        press(page, "Freeze", "we move house")
        expect(page.locator("h1")).to_contain_text("FROZEN")
        look(page, "frozen")
        press(page, "Unfreeze", "")
        expect(page.locator("h1")).to_contain_text("HEALTHY")


def test_a_version_is_rolled_back(calm: Context, page: Page) -> None:
    retrain(calm, "second", force=True)
    serve(calm, 2)
    with console(calm) as address:
        page.goto(address)
        press(page, "Roll back to version 1", "clients complain")
        expect(page.locator("#said")).to_contain_text("Rolled back: version 1 is champion")


def test_a_quarantined_month_is_released(calm: Context, world: Path, tmp_path: Path, page: Page) -> None:
    (ingested,) = [one for one in calm.store.months() if one.month == Month(2022, 3)]
    evidence = {"month": "2022-03", "content": ingested.content, "ingested": True}
    calm.ledger.record("quarantined", "2022-03: it is odd", actor="autoops", evidence=evidence)
    with console(calm) as address:
        page.goto(address)
        expect(page.get_by_text("2022-03 is quarantined")).to_be_visible()
        press(page, "Release 2022-03", "it was odd, and true")
        expect(page.locator("#said")).to_contain_text("2022-03")


def test_a_retraining_is_asked_for(calm: Context, page: Page) -> None:
    asked: list[str] = []
    with console(calm, asked=asked) as address:
        page.goto(address)
        press(page, "Retrain now", "new streets")
        expect(page.locator("#said")).to_contain_text("Asked for it")
    assert asked == ["new streets (cli:tester)"]


def test_questions_are_answered_on_the_page(calm: Context, engine: sa.Engine, page: Page) -> None:
    with engine.connect() as connection:
        prediction = connection.scalar(sa.text("SELECT id FROM predictions LIMIT 1"))
    with console(calm) as address:
        page.goto(address)
        answer = page.locator("#answer")
        page.get_by_label("Why was this prediction").fill(str(prediction))
        page.get_by_role("button", name="Why").click()
        expect(answer).to_contain_text("which makes")
        page.get_by_label("What served at this time").fill(f"{calm.clock.now():%Y-%m-%d %H:%M}")
        page.get_by_role("button", name="Served").click()
        expect(answer).to_contain_text("version 1 was champion")
        page.get_by_label("kind").select_option("promoted")
        page.get_by_role("button", name="List").click()
        expect(answer.locator("tbody tr")).to_have_count(1)
        look(page, "asked")
        page.get_by_label("Why was this prediction").fill("nobody")
        page.get_by_role("button", name="Why").click()
        expect(answer.get_by_role("alert")).to_contain_text("no prediction in the log")


def test_texts_of_the_ledger_are_no_markup(calm: Context, page: Page) -> None:
    calm.ledger.open_incident("drift", "<script>alert(1)</script><b>odd</b>", actor="<i>x</i>", model_version=1)
    with console(calm) as address:
        page.goto(address)
        expect(page.locator("#you")).to_contain_text("<script>alert(1)</script><b>odd</b>")
        assert page.locator("b", has_text="odd").count() == 0


def test_a_visitor_signs_in_with_a_key_and_acts_with_admin_alone(calm: Context, tmp_path: Path, page: Page) -> None:
    file = tmp_path / "keys.json"
    add_key(file, "ops", ["admin"], calm.clock.now(), secret=SECRET)
    add_key(file, "viewer", [], calm.clock.now(), secret=SECRET[::-1] + "v")
    with console(calm, Keys(file)) as address:
        assert httpx.get(f"{address}/events").status_code == 401
        page.goto(address)
        look(page, "sign-in")
        page.get_by_label("API key").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("not known")
        page.get_by_label("API key").fill(SECRET[::-1] + "v")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("Your key may look, but not act")).to_be_visible()
        expect(page.locator("details.action")).to_have_count(0)
        look(page, "viewer")
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("API key").fill(SECRET)
        page.get_by_role("button", name="Sign in").click()
        press(page, "Freeze", "we move house")
        expect(page.locator("h1")).to_contain_text("FROZEN")
        assert calm.ledger.entries(kind="frozen")[-1].actor == "console:ops"
        (cookie,) = page.context.cookies()
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        revoke_key(file, "ops")
        page.reload()
        expect(page.get_by_label("API key")).to_be_visible()


def test_the_keyboard_is_enough(calm: Context, page: Page) -> None:
    with console(calm) as address:
        page.goto(address)
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.textContent").startswith("Freeze"):
                break
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.type("by hand")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("FROZEN")
    assert freeze.frozen(calm) is not None


def test_what_somebody_types_is_not_replaced_meanwhile(alarmed: tuple[Context, int], page: Page) -> None:
    context, incident_id = alarmed
    with console(context) as address:
        page.goto(address)
        form = page.locator("details.action", has=page.locator("summary", has_text=f"Close incident {incident_id}"))
        form.locator("summary").click()
        form.get_by_label("Reason").fill("half a sent")
        context.ledger.record("frozen", "meanwhile", actor="another")
        expect(page.locator("h1")).to_contain_text("FROZEN", timeout=20_000)
        expect(form.get_by_label("Reason")).to_have_value("half a sent")
        form.get_by_label("Reason").fill("")
        page.locator("h1").click()
        expect(page.locator("summary", has_text="Unfreeze")).to_be_visible()


def test_the_page_says_what_it_knows_without_mlflow(calm: Context, page: Page) -> None:
    assert isinstance(calm.registry, FakeRegistry)
    calm.registry.down = True
    with console(calm) as address:
        page.goto(address)
        expect(page.locator("h1")).to_contain_text("v1")
        expect(page.locator("h1")).to_contain_text("WATCH")
        expect(page.locator(".sentence")).to_contain_text("MLflow does not answer")
        look(page, "without-mlflow")


def test_the_verb_serves_until_it_is_told_to_stop(tmp_path: Path, page: Page) -> None:
    """Also while a browser listens, whose stream never ends by itself."""
    with configured({"storage.home": tmp_path / "var", "console.port": free_port()}) as settings:
        verb = [sys.executable, "-m", "autoops.cli", "console"]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(verb, stdout=log, stderr=log)
        try:
            eventually(lambda: complaint("console", settings) is None, 120)
            page.goto(settings.console_url)
            expect(page.locator(".level")).to_be_visible()
        finally:
            process.terminate()
        assert process.wait(60) == 0, (tmp_path / "log").read_text()
