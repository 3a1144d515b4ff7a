"""The full stack's files agree with each other and with the package; `scripts/stack.sh test` runs them."""

import os
import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from autoops import __version__
from autoops.services.environment import PRELOADED
from autoops.serving.auth.keys import Keys
from autoops.serving.log.outbox_log import outboxes
from autoops.serving.model.budget import needed_mb
from autoops.serving.shutdown import stops_within_s
from autoops.settings import Settings, Storage

ROOT = Path(__file__).parents[2]
COMPOSE = (ROOT / "docker" / "docker-compose.yml").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE)["services"]


def values_of(file: Path) -> dict[str, str]:
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def write_environment(file: Path) -> dict[str, str]:
    subprocess.run([ROOT / "scripts" / "env.sh", file], check=True)
    return values_of(file)


def test_the_environment_is_complete_and_for_its_owner_only(tmp_path: Path) -> None:
    written = write_environment(tmp_path / "env")
    example = values_of(ROOT / ".env.example")
    generated = {name for name, value in example.items() if not value}
    assert written.keys() == example.keys()
    assert all(len(written[name]) >= 40 for name in generated)
    assert len({written[name] for name in generated}) == len(generated)
    assert {name: written[name] for name in example.keys() - generated - {"GIT_COMMIT"}} == {
        name: value for name, value in example.items() if value and name != "GIT_COMMIT"
    }
    assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o600


def test_an_environment_that_is_there_keeps_its_values_and_gets_what_is_new(tmp_path: Path) -> None:
    file = tmp_path / "env"
    first = write_environment(file)
    file.write_text(re.sub("(?m)^MLFLOW_SECRET_KEY=.*\n", "", file.read_text()).replace("API_PORT=8000", "API_PORT=1"))
    second = write_environment(file)
    assert second.keys() == first.keys()
    assert second["API_PORT"] == "1"
    assert second["MLFLOW_SECRET_KEY"] not in ("", first["MLFLOW_SECRET_KEY"])
    unchanged = first.keys() - {"API_PORT", "MLFLOW_SECRET_KEY"}
    assert {name: second[name] for name in unchanged} == {name: first[name] for name in unchanged}


def test_no_secret_has_a_default_and_each_stands_in_the_example() -> None:
    example = values_of(ROOT / ".env.example")
    required = set(re.findall(r"\$\{(\w+):\?", COMPOSE))
    assert required == {name for name, value in example.items() if not value}
    defaulted = set(re.findall(r"\$\{(\w+):-", COMPOSE))
    assert not [name for name in defaulted if re.search("PASSWORD|SECRET|KEY", name)]


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_a_service_is_confined(service: str) -> None:
    described = SERVICES[service]
    assert described["read_only"]
    assert described["cap_drop"] == ["ALL"]
    assert described["mem_limit"]
    assert all(port.startswith("127.0.0.1:") for port in described.get("ports", []))
    if described["restart"] == "unless-stopped":
        assert "healthcheck" in described
        assert "stop_grace_period" in described


def test_the_engine_waits_as_long_as_the_api_may_take_to_stop() -> None:
    patience = re.fullmatch(r"(\d+)s", SERVICES["api"]["stop_grace_period"])
    assert patience
    assert int(patience[1]) > stops_within_s(Settings())


def test_a_replica_of_the_stack_has_the_memory_that_the_largest_model_needs() -> None:
    limit = re.fullmatch(r"(\d+)m", SERVICES["api"]["mem_limit"])
    assert limit
    assert int(limit[1]) * 2**20 / 1e6 >= needed_mb(Settings().serving.max_model_mb)


def test_no_lock_belongs_to_a_session() -> None:
    """PgBouncer gives a session to others between two transactions."""
    held = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "src").rglob("*.py")
        if re.search(r"pg_(try_)?advisory_(un)?lock\b", file.read_text())
    }
    assert held == set()


def test_uvicorn_is_bound_to_a_minor_series_because_connections_ride_on_it() -> None:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    (wanted,) = [one for one in dependencies if one.startswith("uvicorn")]
    floor, ceiling = re.fullmatch(r".*>=0\.(\d+),<0\.(\d+)", wanted).groups()
    assert int(ceiling) == int(floor) + 1


def test_the_settings_that_the_stack_makes_are_settings() -> None:
    for service in SERVICES.values():
        for name in service.get("environment", {}):
            if name.startswith("AUTOOPS__"):
                section, key = name.removeprefix("AUTOOPS__").lower().split("__")
                assert key in type(getattr(Settings(), section)).model_fields, name


def test_outboxes_lie_on_a_volume_that_replicas_share_and_the_service_owns() -> None:
    """A container's own volume is gone with it, and so would be what it has answered while the database was away."""
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    (home,) = re.findall(r"AUTOOPS__STORAGE__HOME=(\S+)", dockerfile)
    inside = str(outboxes(Settings(storage=Storage(home=Path(home)))))
    assert f"outbox:{inside}" in SERVICES["api"]["volumes"]
    assert "outbox" in yaml.safe_load(COMPOSE)["volumes"]
    api = dockerfile.partition(" AS api\n")[2].partition("\nFROM ")[0]
    owned = re.search(rf"install --directory --owner (\d+) --group \1 {inside}\n", api)
    assert owned
    assert f"USER {owned[1]}:" in api
    assert owned.start() < api.index("VOLUME")


def test_the_api_of_the_stack_is_never_open(tmp_path: Path) -> None:
    """The keys of the environment become the ones that the API reads, each for one thing."""
    asked_for = SERVICES["api"]["environment"]["AUTOOPS__SECURITY__KEYS_FILE"]
    assert SERVICES["keys"]["environment"]["AUTOOPS__SECURITY__KEYS_FILE"] == asked_for
    assert f"keys:{Path(asked_for).parent}:ro" in SERVICES["api"]["volumes"]
    assert SERVICES["api"]["depends_on"]["keys"] == {"condition": "service_completed_successfully"}

    written = write_environment(tmp_path / "env")
    file = {"AUTOOPS__SECURITY__KEYS_FILE": str(tmp_path / "keys.json")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([ROOT / "docker" / "api" / "keys.sh"], check=True, env=os.environ | written | file | {"PATH": path})
    keys = Keys(tmp_path / "keys.json")
    owners = [keys.owner_of(written[name].encode()) for name in ("API_KEY", "API_ADMIN_KEY", "API_METRICS_KEY")]
    assert [set(owner.scopes) for owner in owners if owner] == [{"predict", "feedback"}, {"admin"}, set()]


def test_tasks_start_with_the_same_modules_loaded_as_on_one_machine() -> None:
    preloaded = SERVICES["airflow-scheduler"]["environment"]["AIRFLOW__SCHEDULER__MP_FORKSERVER_PRELOAD"]
    assert tuple(preloaded.split(",")) == PRELOADED


def test_the_images_carry_the_version_of_the_package() -> None:
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text()
    assert set(re.findall(r"ARG VERSION=(\S+)", dockerfile)) == {__version__}


def test_documents_and_messages_name_the_compose_command_that_the_plugin_has() -> None:
    files = [
        ROOT / ".env.example",
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("scripts/*"),
        *ROOT.glob("docker/**/*.yml"),
    ]
    hyphenated = [
        f"{file.name}: {line}"
        for file in files
        for line in file.read_text().splitlines()
        if re.search(r"docker-compose (up|down|ps|exec|run|logs|pull|build|config|--)", line)
    ]
    assert hyphenated == []
