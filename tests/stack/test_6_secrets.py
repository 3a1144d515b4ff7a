"""After all that has happened: what was generated for this stack stands where it is needed, and nowhere else."""

import re

import pytest

from tests.stack.compose import ROOT, Container, Stack

GENERATED = re.findall(r"(?m)^([A-Z_]+)=$", (ROOT / ".env.example").read_text())
KEPT = {
    "mlflow": "/var/lib/mlflow",
    "airflow-scheduler": "/var/lib/autoops /opt/airflow/logs",
    "api": "/var/lib/autoops",
}
"""Volumes, by a service that has them: models and reports, months and logs, outboxes and digests of keys."""


@pytest.fixture(scope="module")
def secrets(stack: Stack) -> dict[str, str]:
    return {name: stack.env[name] for name in GENERATED}


def named(secrets: dict[str, str], text: str) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


def container_of(stack: Stack, service: str) -> Container:
    (found,) = stack.containers(service)
    return found


def test_no_log_has_one(stack: Stack, secrets: dict[str, str]) -> None:
    logs = stack.compose("logs", "--no-color", "--no-log-prefix")
    assert "POST /model/reload" not in logs or "by the key operator" in logs
    assert named(secrets, logs) == []


def test_no_image_has_one(stack: Stack, secrets: dict[str, str]) -> None:
    for name in ("api", "mlflow", "airflow", "gateway"):
        image = f"{stack.env['IMAGE_PREFIX']}/{name}:{stack.env['IMAGE_TAG']}"
        told = stack.docker("history", "--no-trunc", image) + stack.docker("image", "inspect", image)
        assert "USER 10001" in told
        assert named(secrets, told) == []


@pytest.mark.parametrize("service", KEPT)
def test_no_volume_has_one(stack: Stack, secrets: dict[str, str], service: str) -> None:
    search = f"grep -rlFf - {KEPT[service]} <<'SECRETS' || :\n" + "\n".join(secrets.values()) + "\nSECRETS"
    assert stack.run_in(container_of(stack, service), search) == ""


def test_no_database_has_one(stack: Stack, secrets: dict[str, str]) -> None:
    """Runs, tags and parameters of MLflow, what Airflow's tasks told each other, the ledger; roles and users."""
    dump = stack.compose("exec", "--no-TTY", "postgres", "pg_dumpall", "--username=postgres")
    assert "champion" in dump
    assert named(secrets, dump) == []
