import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import ValidationError

from autoops.errors import SettingsError
from autoops.settings import CONFIG_VARIABLE, NO_SETTINGS, Section, Settings, load_settings
from autoops.settings.types import sections_of
from autoops.usecase import declaration
from tests.conftest import CONFIG
from tests.taxi import CONTRACT

SOURCES = CONFIG.parent / "src" / "autoops"
SECTIONS = sections_of(Settings)
LEAVES = [(section, key) for section, keys in SECTIONS.items() for key in keys.model_fields]
SINGLE = [name for name in Settings.model_fields if name not in SECTIONS]


@pytest.fixture(autouse=True)
def clean_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the variables of whoever runs the tests, nor those of the fixture `settings`."""
    monkeypatch.delenv("AUTOOPS__STORAGE__HOME")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def refusal(config: Path) -> str:
    with pytest.raises(SettingsError) as raised:
        load_settings(config)
    return str(raised.value)


def test_the_shipped_file_says_what_the_code_defaults_to(tmp_path):
    shipped = load_settings(CONFIG)
    (tmp_path / "config.yaml").write_text("")
    default = load_settings(tmp_path / "config.yaml")

    home = {"storage": default.storage.model_copy(update={"home": shipped.storage.home})}
    assert shipped == default.model_copy(update=home)


def test_the_shipped_file_has_every_knob():
    written = yaml.safe_load(CONFIG.read_text())

    assert [(section, key) for section in written if section in SECTIONS for key in written[section]] == LEAVES
    assert [name for name in written if name not in SECTIONS] == SINGLE == ["usecase"]


def test_every_knob_is_explained_above_it_or_above_its_group():
    lines = CONFIG.read_text().splitlines()
    explained = set(_explained(lines))
    unexplained = [f"{section}.{key}" for section, key in LEAVES if (section, key) not in explained]

    assert not [name for name in unexplained if not _speaks_for_itself(name)]
    above = {line.partition(":")[0]: before for before, line in zip(["", *lines], lines, strict=False)}
    assert all(above[name].startswith("# ") for name in SINGLE)


def _explained(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Knobs with a comment above: directly, or above the knob that stands directly above it."""
    section, commented = "", False
    for line in lines:
        if top := re.fullmatch(r"(\w+):", line):
            section, commented = top[1], False
        elif re.match(r"  # ", line):
            commented = True
        elif (knob := re.match(r"  (\w+):", line)) and commented:
            yield section, knob[1]
        elif not line.strip():
            commented = False


def _speaks_for_itself(name: str) -> bool:
    return name.endswith((".host", ".port"))


def test_every_knob_is_read_by_something():
    """As `section.key`, or as `settings.key` by code that was handed one section as its settings."""
    files = [*SOURCES.rglob("*.py"), *(CONFIG.parent / "airflow" / "dags").glob("*.py")]
    read = {pair for file in files for pair in _reads(ast.parse(file.read_text()))}

    assert [f"{s}.{key}" for s, key in LEAVES if not {(s, key), ("settings", key)} & read] == []
    assert [name for name in SINGLE if not {("settings", name), ("self", name)} & read] == []


def _reads(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Pairs (owner, key) of `….owner.key`, `owner.key` and `self._owner.key`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute | ast.Name):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else node.value.id
            yield owner.lstrip("_"), node.attr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("data: {sorce: x}", "data.sorce: no such setting"),
        ("dta: {source: x}", "dta: no such setting"),
        ("serving: {workers: 2}", "serving.workers: removed: the API is one process."),
        ("gate: {max_model_mb: 9}", "gate.max_model_mb: removed: the gate keeps to what replicas load."),
        ("serving: {port: 99999}", "serving.port: Input should be less than or equal to 65535, got 99999"),
        ("serving: {port: eighty}", "serving.port"),
        ("serving: {model_version: newest}", "serving.model_version"),
        ("gate: {confidence: 1}", "gate.confidence: Input should be less than 1, got 1"),
        ("drift: {alarms_needed: 4}", "drift.alarms_of: Value error, must be at least drift.alarms_needed, got 3"),
        ("drift: {source: tea leaves}", "drift.source"),
        ("model: 5", "model"),
        (
            "security: {rate_limit: 5/second}",
            "security.rate_limit: Value error, what it limits is a key: set security.keys_file",
        ),
        ("security: {keys_file: k, rate_limit: often}", "security.rate_limit"),
        ("just words", "expected sections such as `data:`, got str"),
        ("data: {source: [", "not valid YAML"),
    ],
)
def test_a_bad_file_is_refused_with_the_name_of_the_key(config, content, said):
    config.write_text(content)

    assert said in (message := refusal(config))
    assert str(config) in message


def test_every_bad_key_of_a_file_is_named_at_once(config):
    config.write_text("data: {attempts: 0}\nserving: {port: 0}\nextra: 1")

    message = refusal(config)
    assert all(key in message for key in ("data.attempts", "serving.port", "extra"))


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("AUTOOPS__DATA__SORCE", "x", "AUTOOPS__DATA__SORCE: no such setting; AUTOOPS__DATA__SOURCE is one"),
        ("AUTOOPS__DTA__SOURCE", "x", "AUTOOPS__DTA__SOURCE"),
        ("AUTOOPS__DATA", "x", "AUTOOPS__DATA"),
        ("AUTOOPS__SERVING__PORT", "eighty", "serving.port"),
        ("AUTOOPS__SERVING__WORKERS", "2", "run replicas behind the gateway (docs/stack.md, 'More replicas')"),
        ("AUTOOPS__DRIFT__THRESHOLD", "1.5", "drift.threshold"),
    ],
)
def test_a_bad_variable_is_refused_by_name(monkeypatch, config, name, value, said):
    config.write_text("")
    monkeypatch.setenv(name, value)

    assert said in (message := refusal(config))
    assert name in message


def test_a_variable_wins_over_the_file_and_leaves_its_neighbours(monkeypatch, config):
    config.write_text("serving: {port: 8001, host: 0.0.0.0}")
    monkeypatch.setenv("AUTOOPS__SERVING__PORT", "8002")

    assert (load_settings(config).serving.port, load_settings(config).serving.host) == (8002, "0.0.0.0")


OPTIONAL = [
    (section, key)
    for section, keys in SECTIONS.items()
    for key, setting in keys.model_fields.items()
    if type(None) in get_args(setting.annotation)
]


@pytest.mark.parametrize(("section", "key"), OPTIONAL)
def test_each_setting_that_may_be_null_is_null_by_its_variable(monkeypatch, config, section, key):
    config.write_text("")
    monkeypatch.setenv(f"AUTOOPS__{section}__{key}".upper(), "null")

    assert getattr(getattr(load_settings(config), section), key) is None


@pytest.mark.parametrize(
    ("old", "new"), [("regret_looks", "post_promotion_looks"), ("refresh_months", "retrain_after_months")]
)
def test_a_setting_of_an_earlier_release_is_taken_under_its_new_name(monkeypatch, config, old, new):
    config.write_text(f"training:\n  {old}: 1\n")
    assert getattr(load_settings(config).training, new) == 1
    config.write_text("")
    monkeypatch.setenv(f"AUTOOPS__TRAINING__{old.upper()}", "2")
    assert getattr(load_settings(config).training, new) == 2
    config.write_text(f"training:\n  {new}: 1\n")
    assert getattr(load_settings(config).training, new) == 2, "the environment wins over the file under any name"
    config.write_text(f"training:\n  {new}: 1\n  {old}: 1\n")
    said = f"{config}: training.{old} is called training.{new} by now, and both are set: delete training.{old}"
    assert refusal(config) == said
    config.write_text("")
    monkeypatch.setenv(f"AUTOOPS__TRAINING__{new.upper()}", "2")
    assert refusal(config).startswith(f"the environment: training.{old} is called training.{new} by now")
    monkeypatch.delenv(f"AUTOOPS__TRAINING__{old.upper()}")
    monkeypatch.setenv(f"AUTOOPS_TRAINING_{old.upper()}", "2")
    assert f"AUTOOPS__TRAINING__{new.upper()} is one" in refusal(config)


@pytest.mark.parametrize(("text", "version"), [("champion", "champion"), ("latest", "latest"), ("3", 3)])
def test_a_model_version_may_be_a_name_or_a_number(monkeypatch, config, text, version):
    config.write_text("")
    monkeypatch.setenv("AUTOOPS__SERVING__MODEL_VERSION", text)

    assert load_settings(config).serving.model_version == version


def test_settings_are_frozen():
    loaded = load_settings(CONFIG)

    with pytest.raises(ValidationError):
        loaded.serving.port = 1
    with pytest.raises(ValidationError):
        loaded.serving = loaded.serving
    with pytest.raises(ValidationError):
        loaded.usecase = "other"
    assert all(isinstance(getattr(loaded, name), Section) for name in SECTIONS)
    assert {*SECTIONS, *SINGLE} == {*Settings.model_fields}


def test_the_home_is_absolute_and_lies_beside_the_file(config, monkeypatch, tmp_path):
    config.write_text("storage: {home: state}")
    monkeypatch.chdir("/")

    assert load_settings(config).storage.home == tmp_path / "state"
    assert load_settings(config).database_url == f"sqlite:///{tmp_path / 'state' / 'autoops.db'}"
    monkeypatch.setenv("AUTOOPS__STORAGE__HOME", "/elsewhere")
    assert load_settings(config).storage.home == Path("/elsewhere")


def test_a_variable_names_the_file_and_a_missing_file_says_so(monkeypatch, config):
    config.write_text("serving: {port: 8003}")
    monkeypatch.setenv(CONFIG_VARIABLE, str(config))
    assert load_settings().serving.port == 8003

    monkeypatch.setenv(CONFIG_VARIABLE, str(config) + ".none")
    with pytest.raises(SettingsError, match=rf"config\.yaml\.none: no such file; {CONFIG_VARIABLE} may name another"):
        load_settings()


def test_a_password_is_not_printed(config):
    config.write_text("airflow: {password: hunter2}")
    loaded: Any = load_settings(config)

    assert "hunter2" not in repr(loaded)
    assert loaded.airflow.password.get_secret_value() == "hunter2"


def test_whom_to_tell_is_not_printed_even_where_it_is_wrong(config):
    config.write_text("alerts: {urls: [slack://hunter2]}")

    assert "alerts.urls: Input should be a valid string" in (message := refusal(config))
    assert "hunter2" not in message


def test_a_file_of_whom_to_tell_lies_beside_the_configuration(config):
    config.write_text("alerts: {urls_file: told/urls}")

    assert load_settings(config).alerts.urls_file == config.parent / "told" / "urls"


def test_the_file_of_keys_lies_beside_the_file_that_names_it(config, tmp_path):
    config.write_text("security: {keys_file: secret/keys.json}")

    assert load_settings(config).security.keys_file == tmp_path / "secret" / "keys.json"


def test_no_message_and_no_description_repeats_a_secret(monkeypatch, config):
    config.write_text("airflow: {password: 12345}\nsecurity: {api_key: 67890}")
    said = refusal(config)
    assert all(key in said for key in ("airflow.password", "security.api_key"))
    assert not any(secret in said for secret in ("12345", "67890"))

    config.write_text("airflow: {password: hunter2}\nsecurity: {api_key: letmein}")
    loaded = load_settings(config)
    assert loaded.api_headers == {"Authorization": "Bearer letmein"}
    assert not any(secret in f"{loaded!r} {loaded.model_dump_json()}" for secret in ("hunter2", "letmein"))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AUTOOPS_SERVING_PORT", "AUTOOPS__SERVING__PORT"),
        ("AUTOOPS_SERVING__PORT", "AUTOOPS__SERVING__PORT"),
        ("AUTOOPS__SERVING_PORT", "AUTOOPS__SERVING__PORT"),
        ("AUTO_OPS__SERVING__PORT", "AUTOOPS__SERVING__PORT"),
        ("AUTOOPS__SERVNG__PORT", "AUTOOPS__SERVING__PORT"),
        ("AUTOOPS__SERVING__PROT", "AUTOOPS__SERVING__PORT"),
        ("autoops_mlflow_tracking_uri", "AUTOOPS__MLFLOW__TRACKING_URI"),
        ("AUTOOPS_SECURITY_APIKEY", "AUTOOPS__SECURITY__API_KEY"),
    ],
)
def test_a_variable_that_nearly_names_a_setting_is_refused_with_its_right_name(config, monkeypatch, name, meant):
    config.write_text("")
    monkeypatch.setenv(name, "8001")
    assert refusal(config) == f"environment variable {name}: no such setting; {meant} is one"


@pytest.mark.parametrize(
    "name",
    ["AUTOOPS_TLC_DIR", "AUTOOPS_HOTEL_DIR", "AUTOOPS_TEST_REGISTRY", "AUTOOPS_STACK_ENV", *NO_SETTINGS[1:]],
)
def test_variables_that_name_no_setting_are_left_alone(config, monkeypatch, name):
    config.write_text("")
    monkeypatch.setenv(name, "x")
    load_settings(config)


def test_a_key_of_the_file_that_is_nearly_right_is_named(config):
    config.write_text("serving: {prot: 1}\nsevring: {port: 1}")
    assert "serving.prot: no such setting; serving.port is one" in refusal(config)
    assert "sevring: no such setting; serving is one" in refusal(config)


@pytest.mark.parametrize(("given", "kept"), [("{}", {}), ('{"alpha": 0.5}', {"alpha": 0.5})])
def test_a_mapping_of_the_environment_replaces_the_files(config, monkeypatch, given, kept):
    config.write_text("model: {estimator: sklearn.linear_model.Ridge, parameters: {alpha: 1.0, copy_X: false}}")
    monkeypatch.setenv("AUTOOPS__MODEL__PARAMETERS", given)
    assert load_settings(config).model.parameters == kept
    monkeypatch.setenv("AUTOOPS__MODEL__ESTIMATOR", "sklearn.linear_model.Lasso")
    assert load_settings(config).model.estimator == "sklearn.linear_model.Lasso"


def test_the_declared_parameters_are_those_of_the_declared_estimator(config, monkeypatch):
    config.write_text("model: {estimator: null, parameters: null}")
    assert load_settings(config).model.parameters == CONTRACT.model.parameters
    monkeypatch.setenv("AUTOOPS__MODEL__ESTIMATOR", CONTRACT.model.estimator)
    assert load_settings(config).model.parameters == CONTRACT.model.parameters
    monkeypatch.setenv("AUTOOPS__MODEL__ESTIMATOR", "sklearn.linear_model.Ridge")
    assert load_settings(config).model.parameters == {}


DECLARED = {
    "data": {"source": CONTRACT.source.location},
    "model": {
        "name": "nyc_taxi_trip_duration",
        "estimator": "sklearn.ensemble.RandomForestRegressor",
        "parameters": CONTRACT.model.parameters,
        "features": CONTRACT.model.features,
    },
    "mlflow": {
        "experiment": "nyc_taxi_trip_duration",
        "monitoring_experiment": "nyc_taxi_trip_duration_monitoring",
    },
    "gate": {"segments": ("hour_band", "distance_band", "no_passenger_count")},
}


@pytest.mark.parametrize(("section", "key"), [(section, key) for section, keys in DECLARED.items() for key in keys])
def test_what_is_left_out_or_null_is_what_the_use_case_declares(monkeypatch, config, section, key):
    declared = DECLARED[section][key]
    for content in ("", f"{section}: {{{key}: null}}", f"{section}: null"):
        config.write_text(content)
        assert getattr(getattr(load_settings(config), section), key) == declared
    monkeypatch.setenv(f"AUTOOPS__{section}__{key}".upper(), "null")
    assert getattr(getattr(load_settings(config), section), key) == declared


OWN = """
name: shop_demand
target: {column: sold}
features: {price: {type: float}, shop: {type: category}}
derived: {month: month_of_year}
segments: {each_shop: {by: shop}}
source: {location: /shop/files}
"""


@pytest.mark.parametrize("named", ["own/usecase.yaml", "own"])
@pytest.mark.parametrize("by_variable", [True, False])
def test_a_use_case_of_ones_own_lies_beside_the_file_and_gives_the_defaults(
    monkeypatch, config, tmp_path, named, by_variable
):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "usecase.yaml").write_text(OWN)
    config.write_text("" if by_variable else f"usecase: {named}")
    if by_variable:
        monkeypatch.setenv("AUTOOPS__USECASE", named)
    monkeypatch.chdir("/")

    loaded = load_settings(config)
    assert loaded.contract == declaration.load(str(tmp_path / "own" / "usecase.yaml"))
    assert loaded.model.name == loaded.mlflow.experiment == loaded.contract.name == "shop_demand"
    assert loaded.mlflow.monitoring_experiment == "shop_demand_monitoring"
    assert loaded.model.features == ("price", "shop", "month")
    assert (loaded.data.source, loaded.gate.segments) == ("/shop/files", ("each_shop",))


@pytest.mark.parametrize("content", ["usecase: taxi", "usecase: null", ""])
def test_the_use_case_is_that_of_taxis_where_none_is_named(config, content):
    config.write_text(content)
    assert (load_settings(config).usecase, load_settings(config).contract) == ("taxi", CONTRACT)


def test_the_variable_of_the_use_case_wins_over_the_file(monkeypatch, config):
    config.write_text("usecase: nowhere.yaml")
    monkeypatch.setenv("AUTOOPS__USECASE", "taxi")
    assert load_settings(config).contract == CONTRACT


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("usecase: taxis", "taxis' is neither built in (hotel, taxi) nor a declaration"),
        ("usecase: no/where.yaml", "no/where.yaml does not exist"),
        ("usecase: [taxi]", "usecase: Input should be a valid string, got ['taxi']"),
        ("usecase: {name: taxi}", "usecase: Input should be a valid string"),
        ("model: {features: [trip_distance, speed]}", "model.features: 'speed' is none of trip_distance, "),
        ("model: {features: []}", "model.features: expected at least one feature"),
        ("gate: {segments: [hour_bands]}", "gate.segments: 'hour_bands' is no segment"),
    ],
)
def test_what_does_not_fit_the_use_case_is_refused_at_start(config, content, said):
    config.write_text(content)
    assert said in refusal(config)
