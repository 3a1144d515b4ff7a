"""Secrets that are generated once per home and stored in `home/run`, readable by their owner only."""

import base64
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from autoops.settings import Settings


def run_directory(settings: Settings) -> Path:
    """Return `home/run`, the folder of secrets and of supervisord's files; make it if it is missing."""
    directory = settings.storage.home / "run"
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    return directory


def airflow_password(settings: Settings) -> str:
    """Return `airflow.password`, or the generated password."""
    given = settings.airflow.password
    return given.get_secret_value() if given else _kept(settings, "airflow-password", lambda: secrets.token_urlsafe(12))


def told_password(settings: Settings) -> str:
    """Return the password to show to people: the generated one, or a note that it is the one of the settings."""
    return "as airflow.password says" if settings.airflow.password else airflow_password(settings)


def jwt_secret(settings: Settings) -> str:
    """Return the secret that signs the tokens between Airflow's components."""
    return _kept(settings, "airflow-jwt-secret", lambda: secrets.token_hex(64))


def session_key(settings: Settings) -> str:
    """Return the key that signs sessions of Airflow's UI."""
    return _kept(settings, "airflow-session-key", lambda: secrets.token_hex(32))


def fernet_key(settings: Settings) -> str:
    """Return the key that encrypts connections and variables in Airflow's database."""
    return _kept(settings, "airflow-fernet-key", lambda: base64.urlsafe_b64encode(os.urandom(32)).decode())


def write_airflow_users(settings: Settings) -> Path:
    """Write the passwords file that Airflow's SimpleAuthManager reads; return its path."""
    path = run_directory(settings) / "airflow-passwords.json"
    write_private(path, json.dumps({settings.airflow.username: airflow_password(settings)}))
    return path


def write_private(path: Path, text: str) -> None:
    """Replace the file atomically; other users can never read it."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    # Created with its mode: before a chmod others could open the file.
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _kept(settings: Settings, name: str, generate: Callable[[], str]) -> str:
    path = run_directory(settings) / name
    if not path.exists():
        write_private(path, generate())
    return path.read_text()
