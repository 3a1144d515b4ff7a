import shutil
from pathlib import Path

import pytest

from autoops.errors import SettingsError
from autoops.services.environment import HOME_VARIABLE, dags_folder, environment
from autoops.settings import CONFIG_VARIABLE, Settings, load_settings
from tests.conftest import CONFIG


@pytest.fixture(autouse=True)
def _shipped_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(CONFIG))


def test_every_process_can_be_found_by_its_home_even_when_it_renames_itself(settings: Settings) -> None:
    variables = environment(settings)
    assert variables[HOME_VARIABLE] == str(settings.storage.home)
    assert variables["SPT_NOENV"]


def test_the_configuration_is_named_absolutely_and_overrides_come_along(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CONFIG.parent)
    monkeypatch.setenv(CONFIG_VARIABLE, "config.yaml")
    monkeypatch.setenv("AUTOOPS__DRIFT__CHECK_INTERVAL_S", "5")
    variables = environment(settings)
    assert variables[CONFIG_VARIABLE] == str(CONFIG.resolve())
    assert variables["AUTOOPS__DRIFT__CHECK_INTERVAL_S"] == "5"


def test_airflows_components_find_each_other_on_a_port_of_choice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AUTOOPS__STORAGE__HOME", str(tmp_path))
    monkeypatch.setenv("AUTOOPS__AIRFLOW__PORT", "18080")
    variables = environment(load_settings(CONFIG))
    assert variables["AIRFLOW__API__PORT"] == "18080"
    assert variables["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:18080/execution/"
    assert len(variables["AIRFLOW__API_AUTH__JWT_SECRET"]) >= 64


def test_nothing_of_airflow_lies_outside_home_or_listens_beyond_its_host(settings: Settings) -> None:
    variables = {name: value for name, value in environment(settings).items() if name.startswith("AIRFLOW")}
    home, dags = str(settings.storage.home), str(CONFIG.parent / "airflow" / "dags")
    paths = [value for value in variables.values() if value.startswith("/")]
    assert len(paths) >= 6
    assert all(path.startswith(home) for path in paths if path != dags)
    assert f"sqlite:///{home}/airflow/airflow.db" in variables.values()
    assert variables["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert variables["AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK"] == "False"


def test_a_variable_of_the_callers_own_does_not_redirect_airflow(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", "/elsewhere")
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://production")
    variables = environment(settings)
    assert variables["AIRFLOW_HOME"] == str(settings.storage.home / "airflow")
    assert "production" not in variables["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]


def test_the_dags_beside_the_configuration_are_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(CONFIG, tmp_path / "config.yaml")
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "config.yaml"))
    assert dags_folder() == CONFIG.parent.resolve() / "airflow" / "dags"
    (tmp_path / "airflow" / "dags").mkdir(parents=True)
    assert dags_folder() == tmp_path / "airflow" / "dags"


def test_without_any_dags_it_says_where_it_looked(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "config.yaml"))
    monkeypatch.setattr("autoops.__file__", str(tmp_path / "site-packages" / "lib" / "autoops" / "__init__.py"))
    with pytest.raises(SettingsError, match=str(tmp_path)):
        dags_folder()
