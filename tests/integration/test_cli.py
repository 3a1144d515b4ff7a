"""The verbs as a shell sees them: output, JSON and exit codes. The registry is a file, so that no server is needed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autoops.settings import CONFIG_VARIABLE, PREFIX
from tests import verbs
from tests.conftest import CONFIG
from tests.ports import free_port
from tests.verbs import Run


class Shell:
    """Runs verbs with state, source and registry in one temporary folder."""

    def __init__(self, directory: Path, mlflow_db: Path) -> None:
        self.directory = directory
        (directory / "published").mkdir()
        shutil.copy(mlflow_db, directory / "registry.db")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = kept | {
            CONFIG_VARIABLE: str(CONFIG),
            f"{PREFIX}STORAGE__HOME": str(directory / "var"),
            f"{PREFIX}DATA__SOURCE": str(directory / "published"),
            f"{PREFIX}MLFLOW__TRACKING_URI": f"sqlite:///{directory}/registry.db",
            f"{PREFIX}MODEL__PARAMETERS": '{"n_estimators": 20, "max_depth": 12, "n_jobs": 2, "random_state": 7}',
        }

    def call(self, *arguments: str, **variables: str) -> Run:
        """In this process."""
        return verbs.call(arguments, self.directory, self.environment | variables)

    def run(self, *arguments: str, **variables: str) -> Run:
        """In a process of its own."""
        return subprocess.run(
            [sys.executable, "-m", "autoops.cli", *arguments],
            cwd=self.directory,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def shell(tmp_path: Path, mlflow_db: Path) -> Shell:
    return Shell(tmp_path, mlflow_db)


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
        (("bootstrap",), 3, "no month to train on"),
        (("rollback", "--reason", "worse"), 4, "champion"),
        (("promote", "7", "--reason", "better"), 4, "7"),
        (("demo", "--months", "2022-01..2022-08"), 2, "--source and --months go together"),
        (("keys", "add", "client"), 2, "security.keys_file: null"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(
    shell: Shell, arguments: tuple[str, ...], code: int, words: str
) -> None:
    run = shell.call(*arguments)
    assert words in said(run)
    assert run.returncode == code


def test_a_bad_setting_is_named_by_every_verb(shell: Shell) -> None:
    run = shell.run("check-drift", **{f"{PREFIX}DRIFT__WINDOW_SIZE": "many"})
    assert "drift.window_size" in said(run)
    assert run.returncode == 2


def test_a_registry_that_is_away_is_said_without_waiting_for_it(shell: Shell) -> None:
    run = shell.call("check-drift", **{f"{PREFIX}MLFLOW__TRACKING_URI": "http://127.0.0.1:9"})
    assert "http://127.0.0.1:9" in said(run)
    assert run.returncode == 6


def test_a_database_that_is_away_is_one_line(shell: Shell) -> None:
    away = f"postgresql+psycopg://me:secret@127.0.0.1:{free_port()}/autoops"
    for verb in ("migrate", "serve"):
        run = shell.run(verb, **{f"{PREFIX}STORAGE__URL": away})
        assert "Connection refused" in said(run)
        assert "secret" not in run.stdout + run.stderr
        assert run.returncode == 6


@pytest.mark.parametrize("url", ["mysql://me@there/autoops", "postgres://me@there/autoops", "a file"])
def test_a_database_that_is_none_of_ours_is_a_bad_setting(shell: Shell, url: str) -> None:
    run = shell.run("migrate", **{f"{PREFIX}STORAGE__URL": url})
    assert "storage.url" in said(run)
    assert run.returncode == 2


def test_a_verb_of_the_pipeline_says_that_its_packages_are_not_installed(shell: Shell) -> None:
    """As in the image of the API, where serving's own verbs go on."""
    blocked = "import sys\nsys.modules.update(dict.fromkeys(('pandas', 'psutil', 'sklearn')))\n"
    (shell.directory / "sitecustomize.py").write_text(blocked)
    slim = {"PYTHONPATH": str(shell.directory)}
    for arguments in (("train", "--month", "2022-01"), ("bootstrap",), ("check-drift",)):
        run = shell.run(*arguments, **slim)
        assert "this installation has no pandas" in said(run)
        assert "pip install '.[pipeline]'" in said(run)
        assert run.returncode == 2
    assert shell.run("migrate", **slim).returncode == 0


def test_pruning_says_how_many_of_what_it_deleted_and_by_which_setting(shell: Shell) -> None:
    told = shell.call("prune").stdout.splitlines()
    assert any(line.split() == ["deleted", "0", "predictions", "(storage.retention_days)"] for line in told)
    pruned = json.loads(shell.call("prune", "--json", **{f"{PREFIX}STORAGE__RETENTION_DAYS": "null"}).stdout)
    assert "predictions" not in pruned
    assert (pruned["reports here"], pruned["model versions"], pruned["months"]) == (0, 0, 0)


def test_a_first_model_from_nothing(shell: Shell) -> None:
    shell.call("sample", "--months", "2022-01..2022-02", "--output", "published", "--trips-per-month", "6000")
    migrated = shell.run("migrate")
    assert "from nothing to revision" in migrated.stdout
    assert "is at revision" in shell.call("migrate").stdout
    first = shell.run("bootstrap")
    assert first.stdout.startswith("version 1 promoted"), first.stderr
    again = json.loads(shell.call("bootstrap", "--json").stdout)
    assert again == {"promoted": False, "version": 1, "outcome": "version 1 is champion already"}


def test_the_loop_by_hand(shell: Shell) -> None:
    made = shell.call("sample", "--months", "2022-01..2022-03", "--output", "published", "--trips-per-month", "9000")
    assert made.returncode == 0, made.stderr

    ingested = json.loads(shell.call("ingest", "--months", "2022-01..2022-03", "--json").stdout)
    assert [month["status"] for month in ingested] == ["ingested"] * 3
    assert all(month["rows"] + sum(month["dropped"].values()) == month["rows_read"] for month in ingested)
    again = json.loads(shell.call("ingest", "--months", "2022-01..2022-03", "--json").stdout)
    assert [month["status"] for month in again] == ["unchanged"] * 3

    watched = json.loads(shell.call("check-drift", "--json").stdout)
    assert watched["verdict"] == "no champion"

    first = json.loads(shell.call("train", "--months", "2022-01..2022-03", "--json").stdout)
    assert (first["promoted"], first["version"]) == (True, 1)
    second = shell.call("retrain", "--months", "2022-01..2022-03", "--reason", "once more")
    assert "not promoted: inconclusive" in second.stdout

    scored = json.loads(shell.call("score", "--month", "2022-03", "--json").stdout)
    assert (scored[0]["model_version"], scored[0]["rows"]) == (1, ingested[2]["rows"])

    shell.call("promote", "2", "--reason", "to try it")
    assert shell.call("rollback", "--reason", "it was no better").stdout.strip() == "version 1 is champion"
