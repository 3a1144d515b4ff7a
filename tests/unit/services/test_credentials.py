import base64
import json
import stat

import pytest

from autoops.services import credentials
from autoops.settings import Settings, load_settings
from tests.conftest import CONFIG


def test_secrets_are_made_once(settings: Settings) -> None:
    for secret in (
        credentials.airflow_password,
        credentials.jwt_secret,
        credentials.session_key,
        credentials.fernet_key,
    ):
        assert secret(settings) == secret(settings)


def test_secrets_are_long_enough_for_what_they_protect(settings: Settings) -> None:
    assert len(credentials.jwt_secret(settings)) >= 64
    assert len(credentials.airflow_password(settings)) >= 12
    assert len(base64.urlsafe_b64decode(credentials.fernet_key(settings))) == 32


def test_only_the_owner_can_read_them(settings: Settings) -> None:
    credentials.jwt_secret(settings)
    credentials.write_airflow_users(settings)
    kept = list(credentials.run_directory(settings).iterdir())
    assert len(kept) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


def test_a_password_in_the_settings_wins_and_is_not_kept_as_the_generated_one(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    generated = credentials.airflow_password(settings)
    monkeypatch.setenv("AUTOOPS__AIRFLOW__PASSWORD", "of my own")
    assert credentials.airflow_password(load_settings(CONFIG)) == "of my own"
    assert credentials.airflow_password(settings) == generated


def test_the_users_file_names_the_configured_user(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTOOPS__AIRFLOW__USERNAME", "ada")
    path = credentials.write_airflow_users(load_settings(CONFIG))
    assert json.loads(path.read_text()) == {"ada": credentials.airflow_password(settings)}
