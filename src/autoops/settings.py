"""config.yaml and AUTOOPS__SECTION__KEY variables, checked once and frozen."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UnreadableVariable

from autoops.errors import SettingsError

PREFIX = "AUTOOPS__"
CONFIG_VARIABLE = "AUTOOPS_CONFIG"

_NOT_YAML = (yaml.YAMLError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What PyYAML raises: of text that is not what its tag or look promises, such as 2023-13-45, whatever Python does."""

Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Days = Annotated[float, Field(gt=0)]
Port = Annotated[int, Field(ge=1, le=65535)]
Budget = Annotated[float, Field(gt=0)]
Segment = Annotated[
    str,
    Field(pattern=r"^(hour_band|distance_band|no_passenger_count|day_type|(pickup|dropoff)_location_id=[0-9]{1,3})$"),
]

AlertEvent = Literal[
    "incident_opened",
    "promoted",
    "rejected",
    "rolled_back",
    "quarantined",
    "page",
    "retraining_failed",
    "waiting_for_approval",
    "monitor_silent",
    "not_served",
]


class Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, protected_namespaces=()
    )


class Data(Section):
    source: str = "https://d37ci6vzurychx.cloudfront.net/trip-data"
    timeout_s: Seconds = 30
    attempts: Count = 4
    min_kept_share: Share = 0.75


class Model(Section):
    name: str = "nyc_taxi_trip_duration"
    estimator: str = "sklearn.ensemble.RandomForestRegressor"
    parameters: dict[str, Any] = {
        "n_estimators": 100,
        "max_depth": 18,
        "min_samples_leaf": 7,
        "max_features": 0.5,
        "n_jobs": -1,
        "random_state": 7,
    }
    features: tuple[str, ...] = (
        "trip_distance",
        "passenger_count",
        "hour",
        "day_of_week",
        "pickup_location_id",
        "dropoff_location_id",
    )


class MLflow(Section):
    tracking_uri: str = "http://127.0.0.1:5000"
    experiment: str = "nyc_taxi_trip_duration"
    monitoring_experiment: str = "nyc_taxi_trip_duration_monitoring"
    timeout_s: Count = 10


class Training(Section):
    source: Literal["months", "log", "both"] = "months"
    window_months: Count = 3
    holdout_days: Count = 7
    reference_rows: Count = 60_000
    min_rows: Count = 2_000
    regret_looks: Annotated[int, Field(ge=0)] = 3
    approval: bool = False
    most_per_week: Annotated[int, Field(ge=0)] = 2
    refresh_months: Annotated[int, Field(ge=0)] = 3


class Gate(Section):
    confidence: Rate = 0.95
    resamples: Count = 2_000
    min_rows: Count = 500
    segments: tuple[Segment, ...] = ("hour_band", "distance_band", "no_passenger_count")
    segment_margin: Share = 0.05
    min_segment_rows: Count = 200
    max_model_mb: Budget = 200
    max_latency_ms: Budget = 2

    @field_validator("segments")
    @classmethod
    def _each_once(cls, segments: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(segments)) != len(segments):
            raise ValueError("each once")
        return segments


class Drift(Section):
    source: Literal["log", "months"] = "log"
    window_size: Annotated[int, Field(ge=100)] = 1_000
    threshold: Share = 0.5
    false_alarms_per_year: Budget = 1
    alarms_needed: Count = 2
    alarms_of: Count = 3
    cooldown_days: Annotated[float, Field(ge=0)] = 7
    check_interval_s: Seconds = 3600

    @field_validator("alarms_of")
    @classmethod
    def _not_fewer_than_needed(cls, alarms_of: int, info: Any) -> int:
        if alarms_of < info.data.get("alarms_needed", 1):
            raise ValueError("must be at least drift.alarms_needed")
        return alarms_of


class Serving(Section):
    host: str = "127.0.0.1"
    port: Port = 8000
    workers: Count = 1
    model_version: Literal["champion", "latest"] | Count = "champion"
    poll_interval_s: Seconds = 2
    timeout_s: Seconds = 10
    max_model_mb: Budget = 200
    max_batch: Count = 10_000
    outbox_max_rows: Count = 1_000_000
    batch_threads: Count | None = None


class Logs(Section):
    format: Literal["text", "json"] = "text"
    requests: bool = False


class Storage(Section):
    home: Path = Path("var")
    url: str | None = None
    timeout_s: Seconds = 15
    retention_days: Days | None = None


class Airflow(Section):
    host: str = "127.0.0.1"
    port: Port = 8080
    username: str = "admin"
    password: SecretStr | None = None


class Exporter(Section):
    host: str = "127.0.0.1"
    port: Port = 9464


class Alerts(Section):
    urls: SecretStr | None = None
    urls_file: Path | None = None
    events: tuple[AlertEvent, ...] = get_args(AlertEvent)
    most_per_hour: Count = 20
    interval_s: Seconds = 300
    missed_checks: Count = 3
    mlflow_url: str | None = None


class Settings(BaseSettings):
    """All settings; `storage.home` is absolute once loaded."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True)

    data: Data = Data()
    model: Model = Model()
    mlflow: MLflow = MLflow()
    training: Training = Training()
    gate: Gate = Gate()
    drift: Drift = Drift()
    serving: Serving = Serving()
    logs: Logs = Logs()
    storage: Storage = Storage()
    airflow: Airflow = Airflow()
    exporter: Exporter = Exporter()
    alerts: Alerts = Alerts()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, which arrives as init values."""
        return env_settings, init_settings

    @property
    def database_url(self) -> str:
        return self.storage.url or f"sqlite:///{self.storage.home / 'autoops.db'}"

    @property
    def api_url(self) -> str:
        return f"http://{self.serving.host}:{self.serving.port}"

    @property
    def airflow_url(self) -> str:
        return f"http://{self.airflow.host}:{self.airflow.port}"

    @property
    def exporter_url(self) -> str:
        return f"http://{self.exporter.host}:{self.exporter.port}"


def config_path() -> Path:
    """The file that AUTOOPS_CONFIG names, else config.yaml in the working directory."""
    return Path(os.environ.get(CONFIG_VARIABLE, "config.yaml")).absolute()


def load_settings(path: Path | None = None) -> Settings:
    """Raises SettingsError that names every bad key, where it stands and what was expected."""
    path = path or config_path()
    values = _read(path)
    _refuse_unknown_variables(os.environ)
    try:
        loaded = Settings(**values)
    except ValidationError as error:
        raise SettingsError(_explain(error, path)) from None
    except (UnreadableVariable, RecursionError) as error:
        raise SettingsError(f"settings ({_where(path)}): {error}; lists and mappings are written as JSON") from None
    home = _absolute(path.parent / loaded.storage.home)
    changed: dict[str, Section] = {"storage": loaded.storage.model_copy(update={"home": home})}
    if loaded.alerts.urls_file:
        beside = path.parent.absolute() / loaded.alerts.urls_file
        changed["alerts"] = loaded.alerts.model_copy(update={"urls_file": beside})
    return loaded.model_copy(update=changed)


def _absolute(home: Path) -> Path:
    try:
        return home.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"storage.home: {str(home)!r} is no folder: {error}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such file; {CONFIG_VARIABLE} may name another") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from None
    except _NOT_YAML as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: expected sections such as `data:`, got {type(values).__name__}")
    for key in values:
        # What begins with an underscore would be an option of pydantic-settings.
        if not isinstance(key, str) or key.startswith("_"):
            raise SettingsError(f"{path}: {key!r}: no such setting")
    return values


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    for name in environment:
        if name.startswith(PREFIX):
            section, separator, key = name.removeprefix(PREFIX).lower().partition("__")
            if section not in Settings.model_fields or not separator or not key:
                raise SettingsError(
                    f"environment variable {name}: expected {PREFIX}SECTION__KEY with a section of "
                    + ", ".join(Settings.model_fields)
                )


def _explain(error: ValidationError, path: Path) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        key = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            lines.append(f"{key}: no such setting")
        elif _is_secret(*map(str, problem["loc"][:2])):
            lines.append(f"{key}: {problem['msg']}")
        else:
            lines.append(f"{key}: {problem['msg']}, got {problem['input']!r}")
    return f"settings ({_where(path)}): " + "; ".join(lines)


def _where(path: Path) -> str:
    variables = [name for name in os.environ if name.startswith(PREFIX)]
    return f"{path}" + (f" or {', '.join(sorted(variables))}" if variables else "")


def _is_secret(section: str, key: str = "") -> bool:
    """Whether its value must not be shown."""
    known = Settings.model_fields.get(section)
    field = type(known.default).model_fields.get(key) if known else None
    return field is not None and "SecretStr" in str(field.annotation)
