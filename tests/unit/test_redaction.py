"""Secrets are masked wherever they stand in a text, and every setting that can hold one is known as such."""

import logging
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from autoops import redaction
from autoops.errors import RegistryUnavailable, SettingsError
from autoops.settings import Settings, load_settings
from autoops.settings.types import secret_settings, sections_of
from autoops.telemetry import logs
from tests.conftest import configured


@pytest.fixture(autouse=True, scope="module")
def forget() -> Iterator[None]:
    """Let later tests of this process not mask what these made secret."""
    known = redaction._known
    yield
    redaction._known = known


PLAIN = {
    "usecase",
    "model.name",
    "model.estimator",
    "model.parameters",
    "model.features",
    "mlflow.experiment",
    "mlflow.monitoring_experiment",
    "training.source",
    "gate.segments",
    "drift.source",
    "serving.host",
    "serving.root_path",
    "serving.model_version",
    "logs.format",
    "storage.home",
    "airflow.host",
    "airflow.username",
    "exporter.host",
    "console.host",
    "alerts.urls_file",
    "alerts.events",
    "security.keys_file",
    "security.rate_limit",
}
"""Settings of text that hold no secret. A new setting belongs here, or its type is `Url` or SecretStr."""


def text_settings() -> set[str]:
    sections = sections_of(Settings)
    kinds: dict[str, object] = {k: v.annotation for k, v in Settings.model_fields.items() if k not in sections}
    for section, knobs in sections.items():
        kinds |= {f"{section}.{key}": knob.annotation for key, knob in knobs.model_fields.items()}
    textual = ("str", "Str", "Path", "Any", "Literal")
    return {name for name, kind in kinds.items() if any(word in str(kind) for word in textual)}


def test_every_setting_of_text_is_known_as_secret_or_as_plain() -> None:
    secret = {".".join(place) for place in secret_settings(Settings)}
    assert {"mlflow.tracking_uri", "data.source", "storage.url", "alerts.urls", "security.api_key"} <= secret
    assert text_settings() >= PLAIN
    unsorted = text_settings() - secret - PLAIN
    assert not {name for name in unsorted if isinstance(name, str)}, unsorted
    assert not secret & PLAIN


secrets = st.text(st.characters(categories=["L", "N"], include_characters="-_.~%/@+ :"), min_size=12, max_size=30)


@hypothesis.settings(max_examples=30)
@given(
    secret=secrets.filter(lambda text: text == text.strip()), short=st.from_regex(r"[A-Za-z0-9]{1,7}", fullmatch=True)
)
def test_a_password_survives_in_no_form(secret: str, short: str) -> None:
    from urllib.parse import quote

    written = f"http://svc:{quote(secret, safe='')}@mlflow:5000/x"
    redaction.remember(redaction.secrets_in_url(written))
    for text in (written, f"HTTPConnectionPool: {secret!r}", f"no answer ({secret})", quote(secret)):
        assert secret not in redaction.redact(text)
        assert quote(secret, safe="") not in redaction.redact(text)
    assert redaction.redact(f"at http://svc:{short}@mlflow:5000/x: no") == "at http://***@mlflow:5000/x: no"


@pytest.mark.parametrize(
    "name", ["sig", "token", "X-Amz-Signature", "access_token", "api_key", "password", "AWSAccessKeyId"]
)
def test_tokens_of_a_query_are_masked_whatever_is_known(name: str) -> None:
    told = redaction.redact(f"GET https://host/a?part=1&{name}=abc&x=2: 403")
    assert told == f"GET https://host/a?part=1&{name}=***&x=2: 403"


def test_what_is_no_secret_stays() -> None:
    text = "https://host:443/a?month=2023-01#x, mail ops@example.com; --months 2023-01, /a/b@2x.png, 3.1 -> 2.8"
    assert redaction.redact(text) == text
    assert redaction.public_url("https://u:p@host:443/a/?sig=1#x") == "https://host:443/a"
    assert redaction.public_url("sqlite:////var/mlflow.db") == "sqlite:////var/mlflow.db"


def test_a_receiver_hides_its_tokens_and_not_its_host() -> None:
    found = redaction.secrets_in("https://hooks.example.com/services/T0001111/B000222233 slack://TokenA111/TokenB222")
    assert {"T0001111", "B000222233", "TokenA111", "TokenB222"} <= found
    assert not found & {"hooks.example.com", "services"}


def test_a_password_with_a_slash_is_known() -> None:
    assert redaction.secrets_in_url("http://svc:half/otherhalf@host:5000/") == {"half/otherhalf"}


def test_errors_and_log_lines_are_redacted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with configured({"storage.home": tmp_path, "mlflow.tracking_uri": "http://svc:canary-4711-x@127.0.0.1:1"}):
        pass
    assert str(RegistryUnavailable("canary-4711-x")) == "***"
    before = logging.getLogger().handlers[:]
    for form in ("text", "json"):
        with configured({"storage.home": tmp_path, "logs.format": form}):
            try:
                logs.configure("cli")
                try:
                    raise ValueError("at http://svc:canary-4711-x@127.0.0.1:1")
                except ValueError:
                    logging.getLogger("autoops.x").exception("failed %s", "canary-4711-x")
            finally:
                logging.basicConfig(handlers=before, force=True)
                logging.captureWarnings(False)
        told = capsys.readouterr().err
        assert "canary-4711-x" not in told
        assert "ValueError" in told


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("storage: postgresql://u:canary-0815-y@h/db\n", "storage: "),
        ("storage:\n  url: [canary-0815-y]\n", "storage.url: "),
        ("security:\n  api_key: 'canary-0815-y\n", "not valid YAML"),
        ("alerts:\n  urls: {a: canary-0815-y}\n", "alerts.urls: "),
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_it(tmp_path: Path, file: str, words: str) -> None:
    (tmp_path / "config.yaml").write_text(file)
    with pytest.raises(SettingsError) as told:
        load_settings(tmp_path / "config.yaml")
    assert words in str(told.value)
    assert "canary-0815-y" not in str(told.value)


def test_settings_show_no_secret_in_their_repr() -> None:
    changes = {
        "data.source": "http://u:canary-1111-a@h",
        "mlflow.tracking_uri": "http://u:canary-1111-a@h",
        "storage.url": "postgresql://u:canary-1111-a@h/db",
        "alerts.mlflow_url": "http://u:canary-1111-a@h",
        "security.api_key": "canary-1111-a",
    }
    with configured(changes) as settings:
        assert isinstance(settings, BaseModel)
        assert "canary-1111-a" not in repr(settings)
