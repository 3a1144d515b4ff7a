"""config.yaml and AUTOOPS__SECTION__KEY variables, checked once and frozen."""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError as UnreadableVariable

from autoops import redaction
from autoops.errors import SettingsError
from autoops.settings import file as settings_file
from autoops.settings.types import (
    AlertEvent,
    Budget,
    Count,
    Days,
    OptionalUrl,
    Port,
    Rate,
    RateLimit,
    Seconds,
    Share,
    Url,
    secret_settings,
)
from autoops.usecase import declaration, derived
from autoops.usecase.contract import Contract
from autoops.usecase.encoding import check_features
from autoops.usecase.functions import beside
from autoops.usecase.segments import check_segments

PREFIX = "AUTOOPS__"
CONFIG_VARIABLE = "AUTOOPS_CONFIG"
NO_SETTINGS = (CONFIG_VARIABLE, "AUTOOPS_HOME_ID", "AUTOOPS_GIT_COMMIT", "AUTOOPS_PYTHON", "AUTOOPS_DB_PASSWORD")
"""Variables of Auto-Ops that name no setting. Those of the tests need no place here: they resemble no setting."""

_ALIKE = re.compile("AUTO_?OPS_", re.IGNORECASE)


MLFLOW_SCHEMES = ("http", "https", "sqlite", "postgresql", "mysql", "mssql", "databricks")
"""MLflow 3 refuses folders."""


class Section(BaseModel):
    """Base of the sections: frozen, without unknown keys, NaN and infinity."""

    # pydantic protects names that begin with `model_`, such as serving.model_version.
    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False, protected_namespaces=()
    )


def _declared(section: str, key: str) -> Any:
    """Return a field whose default is what the use case declares; in a section by itself, what the default one does."""
    return Field(default_factory=lambda: _of_contract(declaration.load(declaration.DEFAULT))[section][key])


class Data(Section):
    """Source of published periods, and the least share of their rows that cleaning must keep."""

    source: Url = _declared("data", "source")
    timeout_s: Seconds = 30
    attempts: Count = 4
    min_kept_share: Share = 0.75


class Model(Section):
    """Name of the registered model, its estimator (a class, or a factory `module:function`) with parameters, and its
    features in order."""

    name: str = _declared("model", "name")
    estimator: str = _declared("model", "estimator")
    parameters: dict[str, Any] = _declared("model", "parameters")
    features: tuple[str, ...] = _declared("model", "features")


class MLflow(Section):
    """Servers and experiments of MLflow; a None `registry_uri` means the tracking server."""

    tracking_uri: Url = "http://127.0.0.1:5000"
    registry_uri: OptionalUrl = None
    experiment: str = _declared("mlflow", "experiment")
    monitoring_experiment: str = _declared("mlflow", "monitoring_experiment")
    timeout_s: Count = 10

    @field_validator("tracking_uri")
    @classmethod
    def _of_a_server(cls, uri: str) -> str:
        return _of_mlflow(uri)

    @field_validator("registry_uri")
    @classmethod
    def _of_a_registry(cls, uri: str | None) -> str | None:
        return uri and _of_mlflow(uri)

    @property
    def versions_uri(self) -> str:
        """Return the URI of the registry of versions."""
        return self.registry_uri or self.tracking_uri


def _of_mlflow(uri: str) -> str:
    scheme = uri.partition(":")[0]
    if scheme in ("databricks-uc", "uc"):
        raise ValueError("Unity Catalog, whose versions lack what is asked of them; expected a workspace's: databricks")
    if scheme not in MLFLOW_SCHEMES:
        raise ValueError(f"expected a URI that begins with one of {', '.join(MLFLOW_SCHEMES)}")
    return uri


class Training(Section):
    """Training data, approval and schedule of retrainings; without `max_rows` all rows are fitted."""

    source: Literal["months", "log", "both"] = "months"
    window_months: Count = 3
    holdout_days: Count = 7
    reference_rows: Count = 60_000
    min_rows: Count = 2_000
    max_rows: Count | None = 300_000
    post_promotion_looks: Annotated[int, Field(ge=0)] = 3
    approval: bool = False
    most_per_week: Annotated[int, Field(ge=0)] = 2
    retrain_after_months: Annotated[int, Field(ge=0)] = 6
    budget: Budget | None = None
    timeout_s: Seconds = 14_400

    @property
    def run_timeout_s(self) -> float:
        """Return the seconds that all steps of a retraining may take together."""
        return 3 * self.timeout_s


class Gate(Section):
    """Confidence, least rows, segments and limits of the gate's comparison."""

    confidence: Rate = 0.95
    min_rows: Count = 500
    segments: tuple[str, ...] = _declared("gate", "segments")
    segment_margin: Share = 0.05
    min_segment_rows: Count = 200
    max_latency_ms: Budget = 2

    @field_validator("segments")
    @classmethod
    def _each_once(cls, segments: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(segments)) != len(segments):
            raise ValueError("each once")
        return segments


class Drift(Section):
    """Windows of checks, their budget of false alarms, and when alarms become an incident."""

    source: Literal["log", "months"] = "log"
    window_size: Annotated[int, Field(ge=100)] = 1_000
    threshold: Share = 0.5
    false_alarms_per_year: Budget = 1
    alarms_needed: Count = 2
    alarms_of: Count = 3
    cooldown_days: Annotated[float, Field(ge=0)] = 7
    check_interval_s: Seconds = 3600
    worth_noticing: Share = 0.1

    @field_validator("alarms_of")
    @classmethod
    def _not_fewer_than_needed(cls, alarms_of: int, info: Any) -> int:
        # alarms_needed, declared first, is validated first, and missing where it is invalid.
        if alarms_of < info.data.get("alarms_needed", 1):
            raise ValueError("must be at least drift.alarms_needed")
        return alarms_of


class Serving(Section):
    """Address of the API, the version that it serves, and limits; a None `batch_threads` means one per core."""

    host: str = "127.0.0.1"
    port: Port = 8000
    root_path: Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")] = ""
    model_version: Literal["champion", "latest"] | Count = "champion"
    poll_interval_s: Seconds = 2
    timeout_s: Seconds = 10
    max_model_mb: Budget = 50
    load_timeout_s: Seconds = 60
    max_batch: Count = 10_000
    outbox_max_rows: Count = 1_000_000
    batch_threads: Count | None = None


class Logs(Section):
    """Format of log lines, and whether the API logs each request."""

    format: Literal["text", "json"] = "text"
    requests: bool = False


class Storage(Section):
    """Local folder, database and retention; a None retention keeps all, a None `url` means SQLite in `home`."""

    home: Path = Path("var")
    url: OptionalUrl = None
    timeout_s: Seconds = 15
    lock_timeout_s: Seconds = 120
    retention_days: Days | None = 365
    reports_days: Days | None = 90
    versions_days: Days | None = 180
    months_kept: Annotated[int, Field(ge=12)] | None = 60
    airflow_days: Days | None = 30


class Airflow(Section):
    """Address and credentials of Airflow; a None password is generated once and kept in `storage.home`."""

    host: str = "127.0.0.1"
    port: Port = 8080
    username: str = "admin"
    password: SecretStr | None = None


class Exporter(Section):
    """Address at which Prometheus scrapes the metrics of the loop."""

    host: str = "127.0.0.1"
    port: Port = 9464


class Console(Section):
    """Address of the console, and that at which people open Airflow, for its links; None means `airflow.host`."""

    host: str = "127.0.0.1"
    port: Port = 8010
    airflow_url: OptionalUrl = None


class Alerts(Section):
    """Receivers of alerts (Apprise URLs), the events that alert, the hourly limit, and limits of the watchdog."""

    urls: SecretStr | None = None
    urls_file: Path | None = None
    events: tuple[AlertEvent, ...] = get_args(AlertEvent)
    most_per_hour: Count = 20
    interval_s: Seconds = 300
    missed_checks: Count = 3
    least_label_share: Share = 0.5
    frozen_days: Days = 7
    mlflow_url: OptionalUrl = None


class Security(Section):
    """Keys of the API's clients and their rate limit; a None `keys_file` admits every client."""

    keys_file: Path | None = None
    rate_limit: RateLimit | None = None
    api_key: SecretStr | None = None

    @field_validator("rate_limit")
    @classmethod
    def _of_keys(cls, rate_limit: str | None, info: Any) -> str | None:
        if rate_limit is not None and info.data.get("keys_file") is None:
            raise ValueError("what it limits is a key: set security.keys_file")
        return rate_limit


class _Environment(EnvSettingsSource):
    def __call__(self) -> dict[str, Any]:
        """Return the settings in the environment, by their present names; `usecase` is read with the file."""
        values = super().__call__()
        values.pop("usecase", None)
        settings_file.rename(values, "the environment")
        return values


class Settings(BaseSettings):
    """All settings; `storage.home` is absolute once loaded."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_parse_none_str="null", extra="forbid", frozen=True
    )

    usecase: str = declaration.DEFAULT
    data: Data = Field(default_factory=Data)
    model: Model = Field(default_factory=Model)
    mlflow: MLflow = Field(default_factory=MLflow)
    training: Training = Field(default_factory=Training)
    gate: Gate = Field(default_factory=Gate)
    drift: Drift = Field(default_factory=Drift)
    serving: Serving = Field(default_factory=Serving)
    logs: Logs = Field(default_factory=Logs)
    storage: Storage = Field(default_factory=Storage)
    airflow: Airflow = Field(default_factory=Airflow)
    exporter: Exporter = Field(default_factory=Exporter)
    console: Console = Field(default_factory=Console)
    alerts: Alerts = Field(default_factory=Alerts)
    security: Security = Field(default_factory=Security)

    @model_validator(mode="before")
    @classmethod
    def _with_declared(cls, values: Any) -> Any:
        """Fill what the settings leave to the use case: keys that are not given, or null."""
        usecase = values.get("usecase") or declaration.DEFAULT
        if not isinstance(usecase, str):
            return values
        declared = _of_contract(declaration.load(usecase))
        own = values.get("model")
        if isinstance(own, dict) and own.get("estimator") not in (None, declared["model"]["estimator"]):
            # The declared parameters are those of the declared estimator.
            declared["model"]["parameters"] = {}
        for section in declared:
            given = values.get(section) or {}
            if isinstance(given, dict):
                present = {
                    key: value for key, value in given.items() if value is not None or key not in declared[section]
                }
                values[section] = declared[section] | present
        model = values["model"]
        if isinstance(model, dict) and isinstance(model["estimator"], str):
            model["estimator"] = beside(model["estimator"], declaration.folder_of(usecase))
        return values

    @model_validator(mode="after")
    def _fits_the_use_case(self) -> Self:
        check_features(self.contract, self.model.features)
        check_segments(self.contract, self.gate.segments)
        derived.check(self.contract)
        return self

    @property
    def contract(self) -> Contract:
        """Return the contract of the use case."""
        return declaration.load(self.usecase)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the environment before the file, so that it takes precedence; the file arrives as init values."""
        return _Environment(settings_cls), init_settings

    @property
    def database_url(self) -> str:
        """Return `storage.url`, or that of the SQLite file in `storage.home` if it is None."""
        return self.storage.url or f"sqlite:///{self.storage.home / 'autoops.db'}"

    @property
    def api_url(self) -> str:
        """Return the API's URL at `serving.host` and `serving.port`, without `serving.root_path`."""
        return f"http://{address(self.serving.host, self.serving.port)}"

    @property
    def api_headers(self) -> dict[str, str]:
        """Return the headers that authenticate this installation's own clients to the API; empty without a key."""
        key = self.security.api_key
        return {"Authorization": f"Bearer {key.get_secret_value()}"} if key else {}

    @property
    def airflow_url(self) -> str:
        """Return the URL of Airflow's UI and REST API."""
        return f"http://{address(self.airflow.host, self.airflow.port)}"

    @property
    def service_urls(self) -> tuple[str, ...]:
        """Return the URLs of the services that this installation may run itself."""
        return self.api_url, self.airflow_url, self.exporter_url, self.console_url, self.mlflow.tracking_uri

    @property
    def console_url(self) -> str:
        """Return the URL of the console."""
        return f"http://{address(self.console.host, self.console.port)}"

    @property
    def exporter_url(self) -> str:
        """Return the URL of the Prometheus exporter, without `/metrics`."""
        return f"http://{address(self.exporter.host, self.exporter.port)}"


ESTIMATORS = {
    "regression": "sklearn.ensemble.RandomForestRegressor",
    "binary": "sklearn.ensemble.RandomForestClassifier",
}
"""Estimators of use cases that declare none ..."""
PARAMETERS = {"n_estimators": 100, "max_depth": 16, "min_samples_leaf": 10, "n_jobs": -1, "random_state": 7}
"""... and their parameters."""


def _of_contract(contract: Contract) -> dict[str, dict[str, Any]]:
    """Return the settings that a use case declares, by section and key."""
    model = contract.model
    parameters = model.parameters if model.parameters is not None else {} if model.estimator else PARAMETERS
    segments = contract.gate.segments if contract.gate.segments is not None else tuple(contract.segments)
    return {
        "data": {"source": contract.source.location},
        "model": {
            "name": contract.name,
            "estimator": model.estimator or ESTIMATORS[contract.task],
            "parameters": parameters,
            "features": contract.model_features,
        },
        "mlflow": {"experiment": contract.name, "monitoring_experiment": f"{contract.name}_monitoring"},
        "gate": {"segments": segments},
    }


def address(host: str, port: int | str) -> str:
    """Return host and port as in a URL, where an IPv6 address has brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def config_path() -> Path:
    """Return the path in AUTOOPS_CONFIG, else config.yaml in the working directory."""
    return Path(os.environ.get(CONFIG_VARIABLE, "config.yaml")).absolute()


def load_settings(path: Path | None = None, usecase: str | None = None) -> Settings:
    """Return the settings in the file at `path` (default: `config_path()`) and in the environment.

    `usecase` is a name, or a path relative to the working directory; it replaces the one that these name, and then
    there need be no file.

    Raises:
        SettingsError: the file does not read, or settings are unknown or invalid. The message names every invalid key,
            its place and what was expected.
    """
    path = path or config_path()
    optional = usecase is not None and not path.exists()
    values = {} if optional else settings_file.read(path, f"{CONFIG_VARIABLE} may name another")
    variables = sorted(name for name in os.environ if name.startswith(PREFIX))
    alike = (name for name in sorted(os.environ) if _ALIKE.match(name))
    settings_file.refuse_unknown(alike, PREFIX, Settings, NO_SETTINGS)
    settings_file.rename(values, str(path))
    named = next((os.environ[name] for name in variables if name.upper() == f"{PREFIX}USECASE"), values.get("usecase"))
    values["usecase"] = (
        _absolute(named, path) if usecase is None else _absolute(usecase, Path().absolute() / "config.yaml")
    )
    settings_file.drop_replaced(values, variables, PREFIX, Settings)
    where = f"settings ({path}" + (f" or {', '.join(variables)})" if variables else ")")
    try:
        loaded = Settings(**values)
    except ValidationError as error:
        # `from None`: pydantic's error quotes its input, which may be a secret.
        raise SettingsError(f"{where}: {settings_file.explain(error, Settings)}") from None
    except (UnreadableVariable, RecursionError) as error:
        raise SettingsError(f"{where}: {error}; lists and mappings are written as JSON") from None
    # First of all: messages about what follows are masked.
    _remember_secrets(loaded)
    home = settings_file.beside(path, loaded.storage.home, "storage.home")
    changed: dict[str, Section] = {"storage": loaded.storage.model_copy(update={"home": home})}
    for section, key in (("alerts", "urls_file"), ("security", "keys_file")):
        settings = getattr(loaded, section)
        if named := getattr(settings, key):
            changed[section] = settings.model_copy(update={key: path.parent.absolute() / named})
    return loaded.model_copy(update=changed)


def _absolute(usecase: Any, path: Path) -> Any:
    """Return the use case with a path of one's own made absolute; it is relative to the file at `path`."""
    if usecase is None:
        return declaration.DEFAULT
    if not isinstance(usecase, str) or usecase in declaration.built_in():
        return usecase
    return usecase if usecase.startswith("~") else str(path.parent.absolute() / usecase)


def _remember_secrets(settings: Settings) -> None:
    """Have the secrets of the settings and of the environment masked in all text of this process."""
    found = redaction.secrets_of_environment(os.environ)
    for section, key in secret_settings(Settings):
        value = getattr(getattr(settings, section), key)
        if isinstance(value, SecretStr):
            found |= redaction.secrets_in(value.get_secret_value())
        elif isinstance(value, str):
            found |= redaction.secrets_in_url(value)
    redaction.remember(found)
