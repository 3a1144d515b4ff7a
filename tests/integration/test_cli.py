"""The verbs as a shell sees them: output, JSON and exit codes. The registry is a file, so that no server is needed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autoops.settings import CONFIG_VARIABLE, PREFIX
from tests.conftest import CONFIG

Run = subprocess.CompletedProcess[str]


class Shell:
    """Runs verbs with state, source and registry in one temporary folder."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = kept | {
            CONFIG_VARIABLE: str(CONFIG),
            f"{PREFIX}STORAGE__HOME": str(directory / "var"),
            f"{PREFIX}DATA__SOURCE": str(directory / "published"),
            f"{PREFIX}MLFLOW__TRACKING_URI": f"sqlite:///{directory}/registry.db",
            f"{PREFIX}MODEL__PARAMETERS": '{"n_estimators": 20, "max_depth": 12, "n_jobs": 2}',
        }

    def run(self, *arguments: str, **variables: str) -> Run:
        return subprocess.run(
            [sys.executable, "-m", "autoops.cli", *arguments],
            cwd=self.directory,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    (tmp_path / "published").mkdir()
    return Shell(tmp_path)


def said(run: Run) -> str:
    """The one line of an error; a traceback is a failure of the test."""
    assert "Traceback" not in run.stderr
    return next(line for line in run.stderr.splitlines() if line.startswith("error: "))


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("ingest", "--month", "2023-13"), 2, "month '2023-13'"),
        (("ingest", "--months", "2023-02..2023-01"), 2, "ends before it begins"),
        (("ingest", "--month", "2023-01"), 3, "2023-01 is not published"),
        (("sample", "--month", "2023-01", "--output", "out", "--scenario", "storm"), 2, "storm"),
        (("retrain",), 3, "no month to train on"),
        (("retrain", "--incident", "9"), 4, "incident 9"),
        (("score", "--month", "2023-01"), 4, "no version carries the alias champion"),
        (("rollback", "--reason", "worse"), 4, "champion"),
        (("promote", "7", "--reason", "better"), 4, "7"),
        (("demo", "--months", "2022-01..2022-08"), 2, "--source and --months go together"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    shell: Shell, arguments: tuple[str, ...], code: int, words: str
) -> None:
    run = shell.run(*arguments)
    assert words in said(run)
    assert run.returncode == code


def test_a_bad_setting_is_named_by_every_verb(shell: Shell) -> None:
    run = shell.run("check-drift", **{f"{PREFIX}DRIFT__WINDOW_SIZE": "many"})
    assert "drift.window_size" in said(run)
    assert run.returncode == 2


def test_a_registry_that_is_away_is_said_without_waiting_for_it(shell: Shell) -> None:
    run = shell.run("check-drift", **{f"{PREFIX}MLFLOW__TRACKING_URI": "http://127.0.0.1:9"})
    assert "http://127.0.0.1:9" in said(run)
    assert run.returncode == 6


def test_the_loop_by_hand(shell: Shell) -> None:
    made = shell.run("sample", "--months", "2022-01..2022-03", "--output", "published", "--trips-per-month", "9000")
    assert made.returncode == 0, made.stderr

    ingested = json.loads(shell.run("ingest", "--months", "2022-01..2022-03", "--json").stdout)
    assert [month["status"] for month in ingested] == ["ingested"] * 3
    assert all(month["rows"] + sum(month["dropped"].values()) == month["rows_read"] for month in ingested)
    again = json.loads(shell.run("ingest", "--months", "2022-01..2022-03", "--json").stdout)
    assert [month["status"] for month in again] == ["unchanged"] * 3

    watched = json.loads(shell.run("check-drift", "--json").stdout)
    assert watched["verdict"] == "no champion"

    first = json.loads(shell.run("train", "--months", "2022-01..2022-03", "--json").stdout)
    assert (first["promoted"], first["version"]) == (True, 1)
    second = shell.run("retrain", "--months", "2022-01..2022-03", "--reason", "once more")
    assert "not promoted: inconclusive" in second.stdout

    scored = json.loads(shell.run("score", "--month", "2022-03", "--json").stdout)
    assert (scored[0]["model_version"], scored[0]["rows"]) == (1, ingested[2]["rows"])

    shell.run("promote", "2", "--reason", "to try it")
    assert shell.run("rollback", "--reason", "it was no better").stdout.strip() == "version 1 is champion"
