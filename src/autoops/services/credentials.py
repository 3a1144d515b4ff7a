"""Secrets that are generated once per home and kept in `home/run`, readable by their owner only."""

import base64
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from autoops.settings import Settings


def run_directory(settings: Settings) -> Path:
    """`home/run`: secrets, the supervisor's files; made when it is missing."""
    directory = settings.storage.home / "run"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory


def airflow_password(settings: Settings) -> str:
    """`airflow.password`, or the generated one."""
    given = settings.airflow.password
    return given.get_secret_value() if given else _kept(settings, "airflow-password", lambda: secrets.token_urlsafe(12))


def told_password(settings: Settings) -> str:
    """Return what a person is shown: the generated password, or that it is the one of the settings."""
    return "as airflow.password says" if settings.airflow.password else airflow_password(settings)


def jwt_secret(settings: Settings) -> str:
    """Signs the tokens between Airflow's components."""
    return _kept(settings, "airflow-jwt-secret", lambda: secrets.token_hex(64))


def session_key(settings: Settings) -> str:
    """Signs the UI's sessions."""
    return _kept(settings, "airflow-session-key", lambda: secrets.token_hex(32))


def fernet_key(settings: Settings) -> str:
    """Encrypts connections and variables in Airflow's database."""
    return _kept(settings, "airflow-fernet-key", lambda: base64.urlsafe_b64encode(os.urandom(32)).decode())


def write_airflow_users(settings: Settings) -> Path:
    """The passwords file that Airflow's SimpleAuthManager reads."""
    path = run_directory(settings) / "airflow-passwords.json"
    write_private(path, json.dumps({settings.airflow.username: airflow_password(settings)}))
    return path


def write_private(path: Path, text: str) -> None:
    """Replaces the file in one step; it is never readable by others."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _kept(settings: Settings, name: str, generate: Callable[[], str]) -> str:
    path = run_directory(settings) / name
    if not path.exists():
        write_private(path, generate())
    return path.read_text()
