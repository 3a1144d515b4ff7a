"""The backtest as users run it, on a small city that slows down: all policies, a kill in the middle, no look ahead."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from autoops.backtest.policies import POLICIES
from autoops.cli import app
from autoops.errors import InputError
from autoops.months import Month, parse_months
from autoops.usecases.taxi.sample import write_sample
from tests.conftest import CONFIG
from tests.integration.one_process import SMALL

pytestmark = pytest.mark.system

MONTHS, CHANGE = "2022-01..2022-07", Month(2022, 5)
GIVE_UP_AFTER_S = 300


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("city")
    months = parse_months(MONTHS)
    write_sample(directory, months, trips_per_month=9_000, seed=7, scenario="speed", changes_from=CHANGE)
    return directory


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The shipped configuration with a small forest."""
    shipped = yaml.safe_load(CONFIG.read_text())
    shipped["model"]["parameters"] = SMALL | {"random_state": 7}
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(yaml.safe_dump(shipped))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOOPS")}
    return kept | {"AUTOOPS_CONFIG": str(path)}


def command(city: Path, output: Path, *options: str) -> list[str]:
    where = ["--source", str(city), "--months", MONTHS, "--output", str(output), "--changes-from", str(CHANGE)]
    return [sys.executable, "-m", "autoops.cli", "backtest", *where, "--jobs", "2", "--seeds", "2", *options]


def run(environment: dict[str, str], *arguments: Any) -> dict[str, Any]:
    ended = subprocess.run(
        command(*arguments, "--json"), env=environment, capture_output=True, text=True, timeout=GIVE_UP_AFTER_S
    )
    assert ended.returncode == 0, ended.stderr
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("output")


@pytest.fixture(scope="module")
def result(city: Path, environment: dict[str, str], output: Path) -> dict[str, Any]:
    return run(environment, city, output, "--label-lag-months", "0")


@pytest.fixture(scope="module")
def policies(result: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = result["runs"][0]["policies"]
    return found


def test_the_result_has_the_promised_form(result: dict[str, Any], policies: dict[str, Any], output: Path) -> None:
    assert result["months"] == [str(month) for month in parse_months(MONTHS)]
    assert [run["label_lag_months"] for run in result["runs"]] == [0]
    assert list(policies) == list(POLICIES)
    promised = {"mae", "low", "high", "retrainings", "promoted", "rejected", "degradation_avoided", "per_month"}
    assert all(promised <= set(policy) for policy in policies.values())
    assert json.loads((output / "backtest.json").read_text()) == result
    assert (output / "backtest.png").stat().st_size > 10_000


def test_all_policies_answer_the_same_trips_and_begin_with_the_same_version(policies: dict[str, Any]) -> None:
    for policy in policies.values():
        assert [month["month"] for month in policy["per_month"]] == ["2022-04", "2022-05", "2022-06", "2022-07"]
        for month, frozen in zip(policy["per_month"], policies["frozen"]["per_month"], strict=True):
            assert month["rows"] == frozen["rows"]
        assert policy["per_month"][0]["mae"] == policies["frozen"]["per_month"][0]["mae"]


def test_each_policy_retrains_by_its_own_rule(policies: dict[str, Any]) -> None:
    def after(name: str) -> list[str]:
        return [month["month"] for month in policies[name]["per_month"] if month["retrained_after"]]

    assert after("frozen") == []
    assert after("monthly") == after("monthly+gate") == after("oracle") == ["2022-04", "2022-05", "2022-06"]
    assert after("every-2-months+gate") == ["2022-05"]
    # The schedule comes first with the month after a promotion, the alarm with the change.
    assert after("autoops")[:2] == ["2022-04", "2022-05"]
    assert policies["monthly"]["promoted"] == 3
    assert policies["blind"]["retrainings"] == policies["autoops"]["retrainings"]
    assert len(policies["blind"]["seeds"]) == 2


def test_a_retraining_knows_only_what_is_out(policies: dict[str, Any]) -> None:
    trained = [month["training_months"] for month in policies["monthly"]["per_month"]]
    assert trained == [
        ["2022-01", "2022-02", "2022-03"],
        ["2022-02", "2022-03", "2022-04"],
        ["2022-03", "2022-04", "2022-05"],
        ["2022-04", "2022-05", "2022-06"],
    ]


def test_autoops_finds_the_change_and_avoids_what_it_would_have_cost(policies: dict[str, Any]) -> None:
    autoops = policies["autoops"]
    assert autoops["detection_delay_days"] == pytest.approx(31, abs=0.5)
    assert 0 < autoops["evidence_days"] < 31
    assert autoops["high"] < 0
    assert autoops["degradation_avoided"]["low"] > 0.5
    assert policies["frozen"]["degradation_avoided"]["estimate"] == 0


def test_what_the_checks_said_stands_beside_the_month_at_whose_end_they_did(policies: dict[str, Any]) -> None:
    april, may, *_ = (month["checks"] for month in policies["autoops"]["per_month"])
    assert april
    assert any(check["alarm"] for check in may)
    assert all(check["reason"].startswith("2022-05") for check in may)
    assert not any(month["checks"] for month in policies["monthly"]["per_month"])


def test_the_oracle_is_no_worse_than_keeping_in_any_first_choice(policies: dict[str, Any]) -> None:
    second = [policies[name]["per_month"][1]["mae"] for name in ("frozen", "monthly", "oracle")]
    assert second[2] == min(second)


@pytest.mark.parametrize(
    "names",
    [
        ["frozen", "monthly+gate"],
        pytest.param(["frozen", "monthly+gate", "blind", "autoops"], marks=pytest.mark.study),
    ],
    ids=len,
)
def test_a_killed_run_is_gone_on_with_and_ends_as_if_it_had_not_been(
    city: Path, environment: dict[str, str], policies: dict[str, Any], tmp_path: Path, names: list[str]
) -> None:
    """From another folder, so that nothing but determinism makes both results the same."""
    asked = [name for name in names if name in ("monthly+gate", "autoops")]
    chosen = (*(word for name in asked for word in ("--policy", name)), "--label-lag-months", "0")
    begun = subprocess.Popen(command(city, tmp_path, *chosen), env=environment, stderr=subprocess.DEVNULL)
    wait_for(lambda: len(trained(tmp_path)) >= 2, begun)
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    before = {place: place.stat().st_mtime_ns for place in trained(tmp_path)}
    assert not (tmp_path / "backtest.json").exists()

    resumed = run(environment, city, tmp_path, *chosen)["runs"][0]["policies"]
    assert list(resumed) == names
    assert comparable(resumed) == comparable({name: policies[name] for name in resumed})
    assert before.items() <= {place: place.stat().st_mtime_ns for place in trained(tmp_path)}.items()


def trained(output: Path) -> list[Path]:
    return list((output / "work" / "challengers").glob("[!.]*/about.json"))


def wait_for(condition: Any, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + GIVE_UP_AFTER_S
    while not condition():
        assert process.poll() is None, "it ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def comparable(policies: dict[str, Any]) -> dict[str, Any]:
    """All but what the machine was busy with."""
    return {name: {key: policy[key] for key in policy if key != "cpu_seconds"} for name, policy in policies.items()}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--policy", "yearly"], "yearly"),
        (["--label-lag-months", "soon"], "soon"),
        (["--label-lag-months", "-1"], "label lag"),
    ],
)
def test_what_cannot_be_run_is_refused(
    options: list[str], said: str, city: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTOOPS_CONFIG", str(CONFIG))
    refused = CliRunner().invoke(app, command(city, tmp_path, *options)[3:]).exception
    assert isinstance(refused, InputError)
    assert said in str(refused)
    assert not list(tmp_path.iterdir())
