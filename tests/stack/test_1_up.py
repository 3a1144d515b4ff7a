"""From nothing to a prediction, in containers that may do little."""

import json
import re
from pathlib import Path

import pytest

from tests.stack.api import Api
from tests.stack.compose import ONE_SHOTS, ROOT, WELL_S, ComposeError, Stack
from tests.stack.conftest import PORTS
from tests.stack.waiting import eventually

API_IMAGE_MB = 650


def test_predict_answers_with_version_1(stack: Stack, api: Api) -> None:
    answer = eventually(api.predict, WELL_S, "a prediction")
    assert answer["model_version"] == 1
    assert 1 < answer["trip_duration_minutes"] < 60
    assert api.lost([answer["prediction_id"]]) == []


def test_every_service_is_well(stack: Stack) -> None:
    stack.wait_until_well()
    assert stack.services() > ONE_SHOTS


def test_no_process_of_any_container_is_roots(stack: Stack) -> None:
    for container in stack.containers():
        user = stack.inspect(container)["Config"]["User"]
        assert re.fullmatch(r"[1-9]\d*(:\d+)?", user), f"{container.name} starts as {user!r}"
        if container.state == "running":
            _, *processes = stack.docker("top", container.id, "-eo", "uid,pid,args").splitlines()
            assert [process for process in processes if process.split()[0] == "0"] == []
            assert processes, container.name


def test_no_container_may_write_to_its_image(stack: Stack) -> None:
    writable = [c.name for c in stack.containers() if not stack.inspect(c)["HostConfig"]["ReadonlyRootfs"]]
    assert writable == []
    (served,) = stack.containers("api")
    refused = stack.run_in(
        served, "for file in /probe /opt/venv/probe /etc/autoops/probe; do touch $file 2>&1; done; :"
    )
    assert refused.count("Read-only file system") == 3


def test_ports_are_open_to_this_machine_only(stack: Stack) -> None:
    published = [
        binding
        for container in stack.containers()
        for bindings in stack.inspect(container)["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    ]
    assert {binding["HostIp"] for binding in published} == {"127.0.0.1"}
    assert {binding["HostPort"] for binding in published} == {
        stack.env[name] for name in PORTS if name != "GRAFANA_PORT"
    }


def test_images_name_their_commit_and_the_apis_is_slim(stack: Stack) -> None:
    for name in ("api", "mlflow", "airflow", "gateway"):
        image = json.loads(
            stack.docker("image", "inspect", f"{stack.env['IMAGE_PREFIX']}/{name}:{stack.env['IMAGE_TAG']}")
        )
        labels = image[0]["Config"]["Labels"]
        assert labels["org.opencontainers.image.revision"] == stack.env["GIT_COMMIT"]
        assert labels["org.opencontainers.image.version"]
        if name == "api":
            assert image[0]["Size"] < API_IMAGE_MB * 1_000_000


def test_use_cases_of_ones_own_are_part_of_what_trains_and_of_what_serves(stack: Stack) -> None:
    for service in ("airflow-scheduler", "api"):
        (container,) = stack.containers(service)
        told = stack.run_in(container, "cat /etc/autoops/usecases/README.md")
        assert told == (ROOT / "usecases" / "README.md").read_text(), service


@pytest.mark.parametrize("secret", re.findall(r"(?m)^([A-Z_]+)=$", (ROOT / ".env.example").read_text()))
def test_a_missing_secret_stops_the_start_by_name(stack: Stack, tmp_path: Path, secret: str) -> None:
    file = tmp_path / "env"
    file.write_text("".join(f"{name}={value}\n" for name, value in stack.env.items() if name != secret))
    with pytest.raises(ComposeError, match=secret):
        Stack(file).compose("config", "--quiet")
