"""Whatever stands in config.yaml or a variable is read, or refused with a SettingsError that says where it stands."""

from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from autoops.errors import SettingsError
from autoops.settings import PREFIX, Settings, load_settings
from autoops.settings.types import sections_of
from autoops.usecase import declaration
from autoops.usecase.declaration import FILE
from tests.conftest import CONFIG
from tests.fuzz.attempts import attempt
from tests.fuzz.strategies import anything, mutations

fuzzed = hypothesis_settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
SECTIONS = sections_of(Settings)
sections = st.sampled_from([*SECTIONS])
keys = sections.flatmap(lambda name: st.sampled_from([*SECTIONS[name].model_fields]))
names = st.sampled_from([*Settings.model_fields]) | st.text(max_size=5) | st.integers() | st.none()


def read_or_refuse(path: Path, where: str) -> str:
    """What the refusal says."""
    loaded, refusal = attempt(lambda: load_settings(path), SettingsError)
    if loaded is not None:
        assert loaded.storage.home.is_absolute()
        return ""
    assert where in str(refusal)
    return str(refusal)


@fuzzed
@given(mutations(CONFIG.read_bytes()))
def test_a_mutated_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.yaml").write_bytes(content)
    read_or_refuse(tmp_path / "config.yaml", str(tmp_path) if b"storage" not in content else "")


@fuzzed
@given(st.dictionaries(names, anything | st.dictionaries(keys, anything, max_size=3), max_size=3))
def test_a_file_of_anything(tmp_path: Path, content: object) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(content))
    read_or_refuse(tmp_path / "config.yaml", "")


@pytest.mark.parametrize(
    "text",
    [
        "1: 2",
        "_cli_parse_args: true",
        "x: 2023-13-45",
        "x: !!timestamp soon",
        "x: !!int a",
        "x: !!bool maybe",
        f"x: {'9' * 5000}",
        "[" * 3000,
        'storage: {home: "a\\0b"}',
        "drift: {cooldown_days: .inf}",
    ],
    ids=lambda text: text[:20],
)
def test_what_was_found_in_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(text)
    assert read_or_refuse(tmp_path / "config.yaml", "storage.home" if "home" in text else str(tmp_path))


@pytest.mark.parametrize("text", ["5", "[1]", '"a\\0b"', "~nobody-of-this-name/mine", "x" * 5000, "taxy", "."])
def test_a_use_case_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.yaml").write_text(f"usecase: {text}")
    assert read_or_refuse(tmp_path / "config.yaml", "usecase: ")


DECLARATION = (files("autoops") / "usecases" / "taxi" / FILE).read_bytes()


@fuzzed
@given(mutations(DECLARATION))
def test_a_mutated_declaration(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    # Read once for each path in a process.
    declaration._read.cache_clear()
    loaded, refusal = attempt(lambda: declaration.load(FILE, tmp_path), SettingsError)
    assert loaded is not None or str(tmp_path / FILE) in str(refusal)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in read_or_refuse(tmp_path, str(tmp_path))


def test_a_refused_password_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("airflow: {password: 20240518}")
    assert "20240518" not in read_or_refuse(tmp_path / "config.yaml", "airflow.password")


@fuzzed
@given(sections, keys, st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=30))
def test_a_variable_of_anything(tmp_path: Path, section: str, key: str, value: str) -> None:
    (tmp_path / "config.yaml").touch()
    name = f"{PREFIX}{section}__{key}".upper()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(name, value)
        read_or_refuse(tmp_path / "config.yaml", name if key != "home" else "home")


@pytest.mark.parametrize("value", ["trip_distance", "[", "[" * 100_000], ids=["no JSON", "cut off", "deep"])
def test_a_list_in_a_variable_is_written_as_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    (tmp_path / "config.yaml").touch()
    monkeypatch.setenv("AUTOOPS__MODEL__FEATURES", value)
    assert "JSON" in read_or_refuse(tmp_path / "config.yaml", "AUTOOPS__MODEL__FEATURES")
