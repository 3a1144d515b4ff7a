"""Every setting that may hold a secret holds one, everything outside is away, and no output shows any of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoops.settings import CONFIG_VARIABLE, PREFIX, Settings
from autoops.settings.types import secret_settings
from tests.conftest import CONFIG
from tests.ports import free_port

SCRIPT = """
import json, os, sys, warnings
warnings.simplefilter("ignore")
from autoops import cli

def verb(*arguments):
    print("::", *arguments, flush=True)
    sys.argv = ["autoops", *arguments]
    try:
        cli.main()
    except SystemExit as ended:
        print("exit", ended.code)

def ask_api():
    from fastapi.testclient import TestClient
    from autoops import bootstrap
    from autoops.telemetry import logs
    logs.configure("api")
    with TestClient(bootstrap.api(), raise_server_exceptions=False) as client:
        for method, path in (("POST", "/model/reload"), ("GET", "/model/info"), ("GET", "/ready"), ("GET", "/metrics")):
            answer = client.request(method, path)
            print(method, path, answer.status_code, answer.text, dict(answer.headers))

def show_settings():
    from autoops.settings import load_settings
    try:
        print(repr(load_settings()))
    except Exception as error:
        print(error)

before = dict(os.environ)
for variables, verbs in json.load(sys.stdin):
    os.environ.clear()
    os.environ.update(before | variables)
    for arguments in verbs:
        verb(*arguments) if arguments else ask_api()
    show_settings()
"""
"""One process for all, because what is slow is its imports. No arguments: the API."""

Verbs = list[list[str]]
ASK_API: list[str] = []


class House:
    """A home whose settings are secrets throughout; `canaries` names each by its setting."""

    def __init__(self, home: Path) -> None:
        self.home = home
        away = f"127.0.0.1:{free_port()}"
        self.canaries = {
            f"{section}.{key}": f"canary-{section}-{key}-5eCr3t" for section, key in secret_settings(Settings)
        }
        known = self.canaries
        self.values = {
            "data.source": f"http://u:{known['data.source']}@{away}/tlc?sig={known['data.source']}-sas",
            "mlflow.tracking_uri": f"http://svc:{known['mlflow.tracking_uri']}@{away}",
            "mlflow.registry_uri": f"http://svc:{known['mlflow.registry_uri']}@{away}",
            "storage.url": f"postgresql://u:{known['storage.url']}@{away}/db?password={known['storage.url']}",
            "alerts.urls": f"json://u:{known['alerts.urls']}@{away}/{known['alerts.urls']}-path",
            "alerts.mlflow_url": f"http://u:{known['alerts.mlflow_url']}@mlflow.example/?token={known['alerts.mlflow_url']}",
        }
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(PREFIX)},
            CONFIG_VARIABLE: str(CONFIG),
            f"{PREFIX}STORAGE__HOME": str(home / "var"),
            f"{PREFIX}DATA__ATTEMPTS": "1",
            "MLFLOW_TRACKING_TOKEN": "canary-mlflow-token-5eCr3t",
            "AWS_SECRET_ACCESS_KEY": "canary-aws-5eCr3t",
            "OTEL_TRACES_EXPORTER": "console",
        }
        for name, canary in known.items():
            self.environment[PREFIX + name.replace(".", "__").upper()] = self.values.get(name, canary)

    def run(self, rounds: list[tuple[dict[str, str], Verbs]]) -> str:
        """Everything that the verbs and the API say, with these variables in each round."""
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=self.home,
            env=self.environment,
            input=json.dumps(rounds),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def leaks(self, told: str) -> list[str]:
        files = [file for file in self.home.rglob("*") if file.is_file()]
        texts = [told, *(file.read_bytes().decode(errors="replace") for file in files)]
        return [text[max(0, at - 300) : at + 80] for text in texts if (at := text.find("5eCr3t")) >= 0]


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


WRONG = {
    "MLFLOW__TRACKING_URI": ["gopher://svc:wrong-1-5eCr3t@mlflow.example", "http://svc:wrong/2-5eCr3t@127.0.0.1:5000"],
    "MLFLOW__REGISTRY_URI": ["gopher://svc:wrong-8-5eCr3t@mlflow.example"],
    "STORAGE__URL": ["mysql://u:wrong-3-5eCr3t@127.0.0.1/db", "postgresql://u:wrong-4-5eCr3t@127.0.0.1:nine/db"],
    "ALERTS__URLS": ["wrong-5-5eCr3t nonsense"],
    "DATA__SOURCE": ["http://u:wrong-6-5eCr3t@[::1/"],
    "SECURITY": [json.dumps("wrong-7-5eCr3t")],
}


def test_nothing_outside_answers_or_is_named_right(house: House) -> None:
    """First what is wrong, then a database that is away, then everything else, logged as lines and as JSON."""
    mistakes: list[tuple[dict[str, str], Verbs]] = [
        ({f"{PREFIX}{name}": value}, [["ingest", "--month", "2023-01"], ["alerts", "test"]])
        for name, values in WRONG.items()
        for value in values
    ]
    sqlite = {f"{PREFIX}STORAGE__URL": f"sqlite:///{house.home}/autoops.db"}
    asked = [["retrain", "--reason", "try", "--months", "2023-01"], ["explain", "1"], ["alerts", "test"], ["status"]]
    told = house.run(
        [
            *mistakes,
            ({}, [["status"]]),
            (sqlite, [["ingest", "--month", "2023-01"], *asked]),
            (sqlite | {f"{PREFIX}LOGS__FORMAT": "json"}, [["ingest", "--month", "2023-01"], ASK_API]),
        ]
    )
    for said in ("http://***@127.0.0.1", "/model/info 200", "json did not take it", "GET /metrics 200", "log.level"):
        assert said in told, told
    assert house.leaks(told) == []


def test_every_setting_that_may_hold_a_secret_holds_a_canary(house: House) -> None:
    named = {tuple(name.split(".")) for name in house.canaries}
    assert named == set(secret_settings(Settings))
    for name, canary in house.canaries.items():
        assert canary in house.environment[PREFIX + name.replace(".", "__").upper()]
