"""The file of keys: what is written, what is read again, and what happens to one that does not read."""

import hashlib
import json
import logging
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from autoops.errors import Conflict, InputError, NotFound, SettingsError
from autoops.serving.auth.keys import Keys, configured, read_keys
from autoops.serving.auth.keys_file import add_key, new_secret, revoke_key
from autoops.settings import Settings

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "keys.json"


def add(file: Path, name: str, *scopes: str, **options: object) -> str:
    secret = new_secret()
    add_key(file, name, scopes, AT, **({"secret": secret} | options))  # type: ignore[arg-type]
    return secret


def test_the_file_has_digests_and_no_secret(file: Path) -> None:
    secret = add(file, "client", "predict")
    content = file.read_text()
    assert secret not in content
    assert json.loads(content)["keys"][0]["sha256"] == hashlib.sha256(secret.encode()).hexdigest()


def test_a_secret_has_256_bits_and_its_owner_is_found_by_nothing_else(file: Path) -> None:
    secret, other = add(file, "client", "predict"), add(file, "operator", "admin")
    assert len({new_secret() for _ in range(100)}) == 100
    assert len(secret.removeprefix("autoops_")) == 43
    keys = Keys(file)
    found = [keys.owner_of(presented.encode()) for presented in (secret, other)]
    assert [key.name for key in found if key] == ["client", "operator"]
    digest = hashlib.sha256(secret.encode()).hexdigest()
    for wrong in (secret[:-1], secret + "a", secret.upper(), digest, "", "client"):
        assert keys.owner_of(wrong.encode()) is None


def test_a_secret_may_be_given_that_is_as_long_as_256_bits(file: Path) -> None:
    add(file, "client", secret="x" * 43)
    with pytest.raises(InputError, match="43 characters"):
        add(file, "other", secret="x" * 42)


def test_the_api_may_run_as_another_user_than_who_adds_keys(file: Path) -> None:
    add(file, "client")
    assert stat.S_IMODE(file.stat().st_mode) == 0o644


def test_a_name_is_taken_until_it_is_replaced_or_revoked(file: Path) -> None:
    first = add(file, "client", "predict")
    with pytest.raises(Conflict, match="client"):
        add(file, "client")
    second = add(file, "client", "feedback", replace=True)
    keys = Keys(file)
    assert keys.owner_of(first.encode()) is None
    assert keys.owner_of(second.encode()) == read_keys(file)[0]
    revoke_key(file, "client")
    assert read_keys(file) == ()
    with pytest.raises(NotFound, match="client"):
        revoke_key(file, "client")


def test_the_same_key_again_changes_nothing(file: Path) -> None:
    secret = add(file, "client", "predict")
    before = file.stat()
    add_key(file, "client", ["predict"], AT + timedelta(days=1), secret=secret, replace=True)
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("client", {"secret": "short"}, "43 characters"),
        ("client", {"rate_limit": "often"}, "rate_limit"),
        ("two words", {}, "name"),
        ("line\nbreak", {}, "name"),
    ],
)
def test_what_is_no_key_is_refused_without_its_secret(
    file: Path, name: str, options: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said) as refused:
        add(file, name, "predict", **options)
    assert "autoops_" not in str(refused.value)
    with pytest.raises(InputError, match="scopes"):
        add(file, "client", "everything")
    assert not file.exists()


def test_those_who_add_at_the_same_time_lose_nothing(file: Path) -> None:
    adding = [threading.Thread(target=add, args=(file, f"client-{number}")) for number in range(16)]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    assert len(read_keys(file)) == 16


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "[]",
        '{"keys": [{"name": "x", "sha256": "autoops_cleartext", "created_at": "2026-01-01T00:00:00Z"}]}',
        '{"keys": [], "kees": []}',
        json.dumps({"keys": 2 * [{"name": "x", "sha256": "0" * 64, "created_at": "2026-01-01T00:00:00Z"}]}),
        None,
    ],
)
def test_a_file_that_does_not_read_changes_nothing_and_is_told_once(file: Path, broken: str | None) -> None:
    secret = add(file, "client", "predict").encode()
    keys = Keys(file)
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken)
    with pytest.raises(SettingsError, match=r"keys\.json") as refused:
        keys.look()
    assert "cleartext" not in str(refused.value)
    keys.look()
    assert keys.owner_of(secret) is not None
    with pytest.raises(SettingsError):
        Keys(file)
    file.write_text('{"keys": []}')
    keys.look()
    assert keys.owner_of(secret) is None


def test_keys_are_asked_for_where_the_settings_name_their_file(file: Path, settings: Settings) -> None:
    secret = add(file, "client", "predict")
    keyed = settings.model_copy(update={"security": settings.security.model_copy(update={"keys_file": file})})
    keys = configured(keyed)
    assert keys is not None
    assert keys.owner_of(secret.encode()) == read_keys(file)[0]
    file.unlink()
    with pytest.raises(SettingsError, match="is not there"):
        configured(keyed)


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", 0), ("::1", 0), ("localhost", 0), ("0.0.0.0", 1), ("::", 1)])
def test_without_keys_a_host_that_others_reach_is_told(
    settings: Settings, caplog: pytest.LogCaptureFixture, host: str, told: int
) -> None:
    open_settings = settings.model_copy(update={"serving": settings.serving.model_copy(update={"host": host})})
    with caplog.at_level(logging.WARNING):
        assert configured(open_settings) is None
    assert [record.message.startswith(f"serving.host is {host}") for record in caplog.records] == [True] * told
