import os
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydantic import SecretStr

from autoops.errors import Conflict
from autoops.replay.demo import stage
from autoops.settings import CONFIG_VARIABLE, PREFIX, Settings


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a stage changes in the environment is put back."""
    monkeypatch.setenv(CONFIG_VARIABLE, "config.yaml")


def test_a_stage_has_its_own_home_ports_and_source(settings: Settings, tmp_path: Path, monkeypatch):
    monkeypatch.setenv(f"{PREFIX}DRIFT__THRESHOLD", "0.7")
    home = stage.cleared(tmp_path / "demo")
    base = settings.model_copy(update={"drift": settings.drift.model_copy(update={"threshold": 0.7})})
    entered = stage.enter(home, base, stage.own_overrides(base, home / "published"))
    assert entered.storage.home == home
    assert entered.database_url == f"sqlite:///{home / 'autoops.db'}"
    assert entered.data.source == str(home / "published")
    assert entered.drift.threshold == 0.7
    assert os.environ[CONFIG_VARIABLE] == str(home / "config.yaml")
    assert not [name for name in os.environ if name.startswith(PREFIX)]


def test_a_password_of_the_configuration_comes_along_readable_by_its_owner_only(settings: Settings, tmp_path: Path):
    airflow = settings.airflow.model_copy(update={"password": SecretStr("hush")})
    alerts = settings.alerts.model_copy(update={"urls": SecretStr("json://localhost/hush")})
    home = stage.cleared(tmp_path / "demo")
    entered = stage.enter(home, settings.model_copy(update={"airflow": airflow, "alerts": alerts}), {})
    assert entered.alerts.urls is not None
    assert entered.alerts.urls.get_secret_value() == "json://localhost/hush"
    assert entered.airflow.password is not None
    assert entered.airflow.password.get_secret_value() == "hush"
    assert (home / "config.yaml").stat().st_mode & 0o077 == 0


def test_preferred_ports_are_taken_when_free_and_others_when_not():
    with socket.socket() as taken, socket.socket() as probe:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        taken_port = taken.getsockname()[1]
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
        probe.close()
        found = stage.free_ports(taken_port, free, free)
    assert found[0] not in (taken_port, free)
    assert found[1] == free
    assert len(set(found)) == 3


def test_the_configured_ports_are_the_preferred_ones(settings: Settings, tmp_path: Path):
    with ExitStack() as held:
        probes = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        serving, airflow, mlflow = (probe.getsockname()[1] for probe in probes)
    base = settings.model_copy(
        update={
            "serving": settings.serving.model_copy(update={"port": serving}),
            "airflow": settings.airflow.model_copy(update={"port": airflow}),
            "mlflow": settings.mlflow.model_copy(update={"tracking_uri": f"http://127.0.0.1:{mlflow}"}),
        }
    )
    own = stage.own_overrides(base, tmp_path)
    assert (own["serving"]["port"], own["airflow"]["port"]) == (serving, airflow)
    assert own["mlflow"]["tracking_uri"] == f"http://127.0.0.1:{mlflow}"


def test_a_folder_that_no_demo_made_is_never_wiped(tmp_path: Path):
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.txt").write_text("dear")
    with pytest.raises(Conflict, match="was not made by a demo"):
        stage.check_home(tmp_path / "demo")


def test_an_earlier_demos_home_and_an_empty_one_may_be_used(tmp_path: Path):
    stage.check_home(tmp_path / "missing")
    home = stage.cleared(tmp_path / "demo")
    (home / "autoops.db").touch()
    stage.check_home(home)
    assert [path.name for path in stage.cleared(home).iterdir()] == [stage.MARKER]


def test_two_demos_in_one_home_are_one_too_many(tmp_path: Path):
    with (
        stage.reserved(tmp_path / "demo"),
        pytest.raises(Conflict, match="another demo"),
        stage.reserved(tmp_path / "demo"),
    ):
        pass
    with stage.reserved(tmp_path / "demo"):
        pass


def test_the_newest_logs_are_quoted_last(tmp_path: Path):
    for age, name in ((300, "old"), (200, "older/api"), (100, "new"), (0, "newest")):
        path = tmp_path / f"{name}.log"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(f"{name} {n}" for n in range(50)))
        os.utime(path, (1e9 - age, 1e9 - age))
    quoted = stage.newest_tails(tmp_path)
    assert "old 49" not in quoted
    assert quoted.endswith("newest 49")
    assert "new 37" not in quoted
