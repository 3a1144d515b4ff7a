"""From the ledger to a real receiver, by way of Apprise: what arrives, and what becomes of what does not."""

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import SecretStr
from typer.testing import CliRunner

from autoops.alerts import rounds
from autoops.alerts.addresses import addresses
from autoops.alerts.delivery import RetryPolicy
from autoops.alerts.queue import AlertQueue
from autoops.alerts.receivers import AppriseReceiver
from autoops.alerts.rounds import Alerts
from autoops.cli import app
from autoops.clock import SystemClock
from autoops.errors import ReceiverUnavailable, SettingsError
from autoops.loop.context import Context
from autoops.loop.records.ledger import Ledger
from autoops.settings import CONFIG_VARIABLE, Settings
from autoops.storage import tables
from tests.conftest import CONFIG
from tests.eventually import eventually
from tests.integration.one_process import context_in, setting
from tests.ports import free_port
from tests.receiver import DRIPS, HANGS, TOKEN, Webhook, listening

OPERATIONS = CONFIG.parent / "docs" / "operations.md"
AT_ONCE = RetryPolicy(attempts=2, pause_s=0)
Told = Callable[..., Alerts]


@pytest.fixture
def context(settings: Settings, each_engine: sa.Engine, tmp_path: Path) -> Context:
    """On both databases; with nothing in the ledger."""
    return context_in(tmp_path, settings, each_engine)


@pytest.fixture
def telling(context: Context, each_engine: sa.Engine) -> Told:
    """Alerts to these URLs, as a process builds them when it starts."""

    def build(*urls: str, timeout_s: float = 30, **values: object) -> Alerts:
        built = setting(context, "alerts", urls=SecretStr(" ".join(urls)), **values)
        receivers = [AppriseReceiver(one, timeout_s) for one in addresses(built.settings.alerts)]
        return Alerts(built, AlertQueue(each_engine, context.clock), receivers)

    return build


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with listening() as hook:
        yield hook


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What reaches the root's handlers, as in a task; pytest's own listens to silenced loggers, too."""
    text = io.StringIO()
    handler, root = logging.StreamHandler(text), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield text
    root.removeHandler(handler)
    root.setLevel(before)


def open_incident(context: Context, reason: str = "slower: 3.4 min instead of 2.7") -> int:
    return context.ledger.open_incident("drift", reason, actor="drift_monitor", model_version=3)


def titles(hook: Webhook) -> list[str]:
    return [json.loads(body)["title"].partition(": ")[2] for body in hook.bodies]


def test_what_arrives_is_what_happened_and_what_may_be_done(telling: Told, context: Context, webhook: Webhook) -> None:
    check = context.checks.append(
        model_version=3, verdict="drift", alarm=True, reason="slower", report={"mlflow_run_id": "4f1c"}
    )
    context.ledger.open_incident(
        "drift", "slower: 3.4 min instead of 2.7", actor="drift_monitor", model_version=3, evidence={"check_id": check}
    )
    rounds.tell(telling(webhook.url, mlflow_url="https://me:hunter2@mlflow.example.com/"), AT_ONCE)
    (shown,) = re.findall(r"```json\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
    assert [json.loads(body) for body in webhook.bodies] == [json.loads(shown)]
    assert webhook.headers[0]["X-Key"] == TOKEN
    assert webhook.headers[0]["User-Agent"] == "Auto-Ops"


def test_each_entry_is_told_once_by_however_many_at_a_time(telling: Told, context: Context, webhook: Webhook) -> None:
    open_incident(context)
    context.ledger.record("promoted", "better", actor="me", model_version=4, evidence={"replaces": 3})
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: rounds.tell(telling(webhook.url), AT_ONCE), range(4)))
    assert rounds.tell(telling(webhook.url), AT_ONCE).to_json() == {"told": 0, "failed": {}, "waiting": 0}
    assert sorted(titles(webhook)) == [
        "incident 1 was opened (drift, version 3)",
        "version 4 is champion now, in place of version 3",
    ]


def test_the_addresses_of_the_documentation_are_some_that_apprise_knows(settings: Settings) -> None:
    told = OPERATIONS.read_text().partition("## Being told")[2].partition("### ")[0]
    shown = re.findall(r"`(\w+://[^`]+)`", told)
    assert len(shown) == 4
    for address in addresses(settings.alerts.model_copy(update={"urls": SecretStr(" ".join(shown))})):
        AppriseReceiver(address).sender()


def test_a_refusal_is_tried_again_at_once(telling: Told, context: Context) -> None:
    open_incident(context)
    with listening([500, 200]) as hook:
        assert rounds.tell(telling(hook.url), AT_ONCE).to_json() == {"told": 1, "failed": {}, "waiting": 0}
    assert hook.bodies[0] == hook.bodies[1]


def test_a_receiver_that_is_down_is_told_later_and_the_other_one_once(
    telling: Told, context: Context, webhook: Webhook
) -> None:
    down = Webhook(free_port())
    open_incident(context)
    both = telling(webhook.url, down.url)
    first = rounds.tell(both, AT_ONCE)
    assert (first.told, first.failed, first.waiting) == (1, {"json 2": "json 2 did not take it"}, 1)
    assert "1 not told to everybody yet" in rounds.sentence(rounds.overview(both))
    assert TOKEN not in str(rounds.overview(both))
    with listening(port=down.port) as up:
        assert rounds.tell(telling(webhook.url, down.url), AT_ONCE).waiting == 0
    assert len(webhook.bodies) == len(up.bodies) == 1
    assert rounds.sentence(rounds.overview(both)) == "alerts     json, json 2: told everything"


@pytest.mark.parametrize("how", [HANGS, DRIPS])
def test_a_receiver_that_does_not_end_holds_up_nobody(
    telling: Told, context: Context, webhook: Webhook, how: str
) -> None:
    open_incident(context)
    with listening([how]) as slow:
        done = rounds.tell(telling(slow.url, webhook.url, timeout_s=0.5), AT_ONCE)
        assert done.failed == {"json": "json did not answer within 0.5 s"}
    assert len(webhook.bodies) == 1
    assert len(slow.bodies) == AT_ONCE.attempts


def test_a_receiver_that_fails_is_left_alone_until_the_next_round(telling: Told, context: Context) -> None:
    for number in range(5):
        open_incident(context, f"incident {number}")
    with listening([503]) as hook:
        assert rounds.tell(telling(hook.url), AT_ONCE).failed == {"json": "json answered 503"}
        assert len(hook.bodies) == AT_ONCE.attempts


def test_no_more_than_so_much_in_an_hour_and_the_urgent_first(
    telling: Told, context: Context, webhook: Webhook
) -> None:
    for number in (1, 2):
        context.ledger.record("promoted", "better", actor="me", model_version=number, evidence={"replaces": None})
    open_incident(context)
    context.ledger.record("rolled back", "worse", actor="me", model_version=2, evidence={"restored": 1})
    alerts = telling(webhook.url, most_per_hour=2)
    assert rounds.tell(alerts, AT_ONCE).waiting == 2
    context.clock.advance(minutes=59)
    assert rounds.tell(alerts, AT_ONCE).told == 0
    context.clock.advance(minutes=2)
    assert rounds.tell(alerts, AT_ONCE).waiting == 0
    assert titles(webhook) == [
        "version 2 was rolled back, version 1 is champion again",
        "incident 1 was opened (drift, version 3)",
        "version 1 is champion now",
        "version 2 is champion now",
    ]


def test_only_what_is_asked_for_is_told(telling: Told, context: Context, webhook: Webhook) -> None:
    open_incident(context)
    context.ledger.record("promoted", "better", actor="me", model_version=4, evidence={"replaces": 3})
    rounds.tell(telling(webhook.url, events=("promoted",)), AT_ONCE)
    assert titles(webhook) == ["version 4 is champion now, in place of version 3"]


def test_what_is_older_than_a_week_is_no_news(telling: Told, context: Context, webhook: Webhook) -> None:
    down = telling(Webhook(free_port()).url)
    open_incident(context, "tried in vain")
    rounds.tell(down, AT_ONCE)
    open_incident(context, "never tried")
    context.clock.advance(days=8)
    assert rounds.tell(telling(webhook.url), AT_ONCE).to_json() == {"told": 0, "failed": {}, "waiting": 0}
    (given_up,) = down.queue.alerts()
    assert given_up.last_failure == "given up after 7 days: json did not take it"


def test_nobody_to_tell_leaves_it_in_the_ledger_for_whoever_comes(
    telling: Told, context: Context, webhook: Webhook
) -> None:
    open_incident(context)
    nobody = telling()
    assert rounds.tell(nobody).told == 0
    assert rounds.sentence(rounds.overview(nobody)) == "alerts     nobody is told: alerts.urls is empty"
    with pytest.raises(SettingsError, match="AUTOOPS__ALERTS__URLS"):
        rounds.try_all(nobody)
    assert rounds.tell(telling(webhook.url), AT_ONCE).told == 1


def test_what_a_killed_process_did_not_get_told_the_next_one_tells(
    settings: Settings, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(CONFIG))
    Ledger(engine, SystemClock()).open_incident("drift", "slower", actor="drift_monitor")
    program = [sys.executable, "-m", "autoops.cli", "alerts"]
    with listening([HANGS, 200]) as hook:
        monkeypatch.setenv("AUTOOPS__ALERTS__URLS", hook.url.replace("rto=1", "rto=60"))
        killed = subprocess.Popen([*program, "send"])
        eventually(lambda: hook.bodies)
        killed.kill()
        killed.wait()
        sent = subprocess.run([*program, "send", "--json"], capture_output=True, text=True, check=True)
        assert CliRunner().invoke(app, ["alerts", "send"]).exit_code == 0
    listed = CliRunner().invoke(app, ["alerts", "list", "--json"])
    assert json.loads(sent.stdout) == {"wrong": [], "told": 1, "failed": {}, "waiting": 0}
    assert len(hook.bodies) == 2, "what hung, and what was taken"
    assert [one["told_to"] for one in json.loads(listed.stdout)] == [["json"]]
    assert TOKEN not in sent.stdout + sent.stderr + listed.output


def test_a_test_says_who_can_be_reached(
    settings: Settings, engine: sa.Engine, webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(CONFIG))
    monkeypatch.setenv("AUTOOPS__ALERTS__URLS", f"{webhook.url} {Webhook(free_port()).url}")
    run = CliRunner().invoke(app, ["alerts", "test"])
    assert run.stdout.splitlines() == ["json: told", "json 2: json 2 did not take it"]
    assert run.exit_code == ReceiverUnavailable.exit_code
    assert titles(webhook) == ["a test"]
    assert "json, json 2: told everything" in CliRunner().invoke(app, ["status"]).stdout


def test_a_secret_is_in_no_log_and_no_table(
    telling: Told,
    context: Context,
    each_engine: sa.Engine,
    log: io.StringIO,
    capfd: pytest.CaptureFixture[str],
) -> None:
    open_incident(context)
    with listening([500, 200]) as hook:
        unknown = f"nonsense://{TOKEN}@host"
        alerts = telling(hook.url, unknown, f"slack://{TOKEN}", Webhook(free_port()).url)
        done = rounds.tell(alerts, AT_ONCE)
        tried = rounds.try_all(alerts)
    assert done.failed["nonsense"] == tried["nonsense"] == "alerts.urls: nonsense is no URL that Apprise knows"
    assert tried["json"] is None
    with each_engine.connect() as connection:
        kept = [connection.execute(sa.select(table)).all() for table in (tables.alerts, tables.deliveries)]
    shown = (kept, done, tried, alerts.receivers, alerts.context.settings, log.getvalue(), capfd.readouterr())
    assert "alert 1 waits" in log.getvalue()
    assert TOKEN not in " ".join(map(repr, shown))


def test_addresses_may_stand_in_a_file_and_are_never_repeated(settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("slack://a/b/c\nmailtos://d:e@example.com\n")
    both = settings.alerts.model_copy(update={"urls": SecretStr("slack://f/g/h"), "urls_file": file})
    assert [one.name for one in addresses(both)] == ["slack", "slack 2", "mailtos"]
    shouted = both.model_copy(update={"urls": SecretStr("Slack://f/g/h")})
    assert [one.name for one in addresses(shouted)] == ["slack", "slack 2", "mailtos"], "a name stands for one of them"
    with pytest.raises(SettingsError, match=r"alerts\.urls: number 1 is no URL") as raised:
        addresses(both.model_copy(update={"urls": SecretStr(TOKEN)}))
    assert TOKEN not in str(raised.value)
    with pytest.raises(SettingsError, match=r"alerts\.urls_file: cannot read .*gone"):
        addresses(both.model_copy(update={"urls_file": tmp_path / "gone"}))
