"""Airflow in processes of its own: importing it here would read, and write, the caller's own AIRFLOW_HOME."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from autoops.months import parse_months
from autoops.services.environment import HOME_VARIABLE, environment
from autoops.usecases.taxi.sample import write_sample
from tests.conftest import CONFIG, configured

DAGS = CONFIG.parent / "airflow" / "dags"


def variables_of(home: Path, overrides: Mapping[str, object]) -> dict[str, str]:
    """The environment that the services get, for a home and settings of the test's own."""
    with configured({"storage.home": home, **overrides}) as settings:
        return environment(settings)


def run_script(script: Path, *arguments: str, variables: Mapping[str, str]) -> Any:
    """What a script of this folder printed as JSON on its last line."""
    command = [sys.executable, str(script), *arguments]
    home = variables[HOME_VARIABLE]
    done = subprocess.run(command, env=dict(variables), cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow finds in airflow/dags."""
    variables = variables_of(tmp_path_factory.mktemp("parsed"), {"drift.check_interval_s": 90})
    found: dict[str, Any] = run_script(Path(__file__).with_name("describe.py"), str(DAGS), variables=variables)
    return found


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four steady months in the TLC's format."""
    directory = tmp_path_factory.mktemp("world")
    write_sample(directory, parse_months("2022-01..2022-04"), trips_per_month=9_000, seed=7)
    return directory


SMALL = {
    "model.parameters": '{"n_estimators": 20, "max_depth": 12, "n_jobs": 2, "random_state": 7}',
    "training.window_months": 3,
}
"""Settings that keep a training on `world` to seconds."""
